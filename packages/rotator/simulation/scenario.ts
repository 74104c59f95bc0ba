import type { Phase } from '../src/events.ts';
import type { SecretPolicy } from '../src/policy/secret-policy.ts';
import { openRandom, type Random } from './random.ts';

export const secret = 'orders-db';
export const minute = 60_000;

export type Service = 'vault' | 'source' | 'database';
/** Where a process dies: before a request is sent, after it took effect, or so that its effect comes late. */
export type DiesWhen = 'before' | 'after' | 'late';

/** How one process of the rotator is going to end. */
export interface Fate {
  /** The request that it dies at; the first of a process is 1. */
  readonly call: number;
  readonly when: DiesWhen;
  readonly losesJournal: boolean;
  readonly restartAfterMs: number;
  /** It comes back under its own name, or a new one takes over. */
  readonly sameName: boolean;
}

/** A process stands still, or the database gives its lock away, without it knowing. */
export interface Lapse {
  /** The request that it is about to send; the first of a process is 1. */
  readonly call: number;
  readonly kind: 'pause' | 'lock lost';
  readonly forMs: number;
}

/** A time during which nothing gets through to a service. */
export interface Outage {
  readonly service: Service;
  readonly from: number;
  readonly until: number;
}

export interface InstanceTraits {
  readonly consumer: string;
  readonly instance: string;
  readonly reports: boolean;
  readonly ttlMs: number;
  /** How long it works on with what it has replaced. */
  readonly drainMs: number;
  /** The slot whose credentials are refused to it, whatever the source says. */
  readonly refusedSlot?: { readonly slot: 'a' | 'b'; readonly until: number };
  /** It hears nothing and reports nothing from one time to another; what it holds goes on being used. */
  readonly cutOff?: { readonly from: number; readonly until: number };
  /** It takes nothing new before this time. */
  readonly stubbornUntil: number;
  /** It dies, and another takes its place that much later. */
  readonly dies?: { readonly at: number; readonly replacedAfterMs: number };
}

/** What people do, besides asking. */
export type Meddling =
  | 'sets a copy of the current value'
  | 'sets an older value again'
  | 'sets rubbish'
  | 'disables an old version'
  | 'disables the current version for a while'
  | 'changes the password in a slot';

/** Something that a person does at some time, or so long after a rotation has first come to a phase. */
export interface Misdeed {
  readonly at: number;
  readonly what: Meddling;
  readonly phase?: Phase;
}

export type Said = 'proceed' | 'roll back' | 'abort' | 'approve';

/** All that chance decides before anything happens. Times are milliseconds from the beginning. */
export interface Scenario {
  readonly seed: number;
  readonly policy: SecretPolicy;
  readonly rotators: number;
  readonly rotations: number;
  readonly latency: { readonly leastMs: number; readonly mostMs: number };
  /** The clocks of the vault and of each process of the rotator differ from the true one by this much at most. */
  readonly skewMs: number;
  readonly faultRate: number;
  readonly outages: readonly Outage[];
  readonly fates: readonly Fate[];
  readonly lapses: readonly Lapse[];
  readonly instances: readonly InstanceTraits[];
  readonly source: {
    readonly tellsUsage: boolean;
    readonly ignoresRevocations: boolean;
    /** It loses the credential that was issued, by itself, so long after. */
    readonly losesFreshAfterMs?: number;
  };
  /** Requests that say nothing about a version, and copies of one event that do. */
  readonly requests: readonly {
    readonly at: number;
    readonly by: 'ann' | 'schedule' | 'event';
    readonly compromised: boolean;
  }[];
  readonly orders: readonly { readonly at: number; readonly order: Said; readonly who: 'ann' | 'ben' }[];
  readonly meddlings: readonly Misdeed[];
  /** From then on nothing goes wrong any more. */
  readonly healedAt: number;
}

const usual: Omit<SecretPolicy, 'consumers'> = {
  secret,
  validityMs: 90 * 86_400_000,
  clockSkewMs: 5_000,
  deadlineMs: 10 * minute,
  pollMs: 30_000,
  requestTimeoutMs: 10_000,
  retryForMs: 2 * minute,
};

/** Draws a scenario. Calm ones and wild ones: a world in which everything fails at once shows little. */
export function drawScenario(seed: number): Scenario {
  const random = openRandom(seed);
  const healedAt = random.between(12, 40) * minute;
  const sometimes = <T>(probability: number, draw: () => T): T | undefined =>
    random.chance(probability) ? draw() : undefined;
  const several = <T>(most: number, draw: () => T): T[] =>
    Array.from({ length: random.between(1, most) }, draw);
  const soon = (): number => random.between(0, healedAt);

  const tellsUsage = random.chance(0.75);
  const consumers = drawConsumers(random);
  const freshLoginWithinMs = sometimes(0.1, () => 5 * minute);
  const needsApproval = random.chance(0.08);
  const rush = sometimes(0.06, () => drawRush(random));
  const requests = rush?.requests ?? drawRequests(random, healedAt);
  /** Mostly when it matters: while the first rotation starts, or is under way. */
  const sometime = (): number => {
    const first = requests[0]?.at ?? 0;
    return random.of([first + random.between(0, 15_000), first + random.between(0, 5 * minute), soon()]);
  };
  const acts =
    rush?.meddlings ??
    sometimes(0.15, () =>
      several(2, () => {
        const what = random.of(meddlings);
        const phase = sometimes(0.5, () => random.of(phases));
        return phase === undefined ? { at: sometime(), what } : { at: random.between(0, 5_000), what, phase };
      }),
    ) ??
    [];
  const losesFreshAfterMs = sometimes(0.08, () => random.between(0, 5 * minute));
  return {
    seed,
    policy: {
      ...usual,
      consumers,
      ...(freshLoginWithinMs === undefined ? {} : { freshLoginWithinMs }),
      ...(needsApproval ? { needsApproval } : {}),
    },
    rotators: random.of([1, 1, 2, 2, 3]),
    rotations: random.chance(0.25) ? 2 : 1,
    latency: rush ? slow : random.of([quick, quick, slow]),
    skewMs: random.of([0, 1_000, usual.clockSkewMs / 2]),
    faultRate: random.of([0, 0, 0.02, 0.06, 0.2]),
    outages: sometimes(0.2, () => several(2, () => drawOutage(random, healedAt))) ?? [],
    fates: sometimes(0.55, () => several(4, () => drawFate(random))) ?? [],
    lapses:
      sometimes(0.25, () =>
        several(3, () => ({
          call: drawCall(random),
          kind: random.of(['pause', 'lock lost'] as const),
          forMs: random.of([random.between(1_000, 30_000), random.between(45_000, 2 * minute)]),
        })),
      ) ?? [],
    instances: consumers.flatMap((consumer) =>
      Array.from({ length: consumer.instances }, (_, index) =>
        drawInstance(random, { ...consumer, index, healedAt, tellsUsage }),
      ),
    ),
    source: {
      tellsUsage,
      ignoresRevocations: acts.length === 0 && random.chance(0.03),
      ...(losesFreshAfterMs === undefined ? {} : { losesFreshAfterMs }),
    },
    requests,
    orders:
      sometimes(needsApproval ? 1 : 0.12, () =>
        several(3, () => ({
          at: soon(),
          order: random.of(['proceed', 'roll back', 'abort', 'approve'] as const),
          who: random.of(['ann', 'ben'] as const),
        })),
      ) ?? [],
    meddlings: acts,
    healedAt,
  };
}

const quick = { leastMs: 20, mostMs: 400 };
const slow = { leastMs: 500, mostMs: 4_500 };

const phases: readonly Phase[] = ['preflight', 'issue', 'publish', 'converge', 'verify', 'verify', 'revoke'];

const meddlings: readonly Meddling[] = [
  'sets a copy of the current value',
  'sets an older value again',
  'sets an older value again',
  'sets an older value again',
  'sets rubbish',
  'disables an old version',
  'disables the current version for a while',
  'changes the password in a slot',
];

function drawConsumers(random: Random): SecretPolicy['consumers'] {
  const reporting = { name: 'orders-api', ttlMs: minute, instances: random.between(1, 3), reports: true };
  const silent = { name: 'reports', ttlMs: 90_000, instances: random.between(1, 2), reports: false };
  return random.of([[reporting], [reporting, silent], [reporting, silent], [silent]]);
}

function drawInstance(
  random: Random,
  at: {
    name: string;
    ttlMs: number;
    reports: boolean;
    index: number;
    healedAt: number;
    tellsUsage: boolean;
  },
): InstanceTraits {
  const { name, ttlMs, reports, index, healedAt, tellsUsage } = at;
  const from = random.between(0, healedAt);
  const cutOff = { from, until: Math.min(healedAt, from + random.between(5_000, 15 * minute)) };
  const dies = { at: random.between(0, healedAt), replacedAfterMs: random.between(5_000, 3 * minute) };
  return {
    consumer: name,
    instance: `${name}-${index + 1}`,
    reports,
    ttlMs,
    // What nobody sees, neither reported nor by the source, must keep the time that was declared for it.
    drainMs: reports || tellsUsage ? random.of([0, 2_000, 30_000, 4 * minute]) : 0,
    stubbornUntil: reports && random.chance(0.08) ? healedAt : 0,
    ...(reports && random.chance(0.06) ? { refusedSlot: { slot: 'b' as const, until: healedAt } } : {}),
    ...(reports && random.chance(0.1) ? { cutOff } : {}),
    ...(random.chance(0.1) ? { dies } : {}),
  };
}

function drawOutage(random: Random, healedAt: number): Outage {
  const from = random.between(0, healedAt - minute);
  const service = random.of(['vault', 'source', 'database'] as const);
  return { service, from, until: Math.min(healedAt, from + random.between(5_000, 5 * minute)) };
}

/** Mostly while a rotation begins, where a process does most. */
function drawCall(random: Random): number {
  return random.chance(0.7) ? random.between(1, 30) : random.between(1, 90);
}

function drawFate(random: Random): Fate {
  const when = random.of(['before', 'after', 'late'] as const);
  return {
    call: drawCall(random),
    when,
    // A late request to the source after a lost journal is the one thing that nothing at hand can tell of.
    losesJournal: when !== 'late' && random.chance(0.25),
    restartAfterMs: random.of([1_000, 20_000, 4 * minute]),
    sameName: random.chance(0.6),
  };
}

/** Everybody asks in the same moment, on a slow network, while somebody sets a version. */
function drawRush(random: Random): Pick<Scenario, 'requests' | 'meddlings'> {
  return {
    requests: Array.from({ length: random.between(4, 12) }, () => ({
      at: random.between(0, 12_000),
      by: random.of(['ann', 'schedule'] as const),
      compromised: false,
    })),
    meddlings: [{ at: random.between(4_000, 25_000), what: 'sets an older value again' }],
  };
}

function drawRequests(random: Random, healedAt: number): Scenario['requests'] {
  const first = { at: random.between(0, 30_000), by: 'ann' as const, compromised: random.chance(0.06) };
  const copies = random.chance(0.3) ? random.between(1, 12) : 0;
  const more = Array.from({ length: copies }, () => ({
    at: random.chance(0.5) ? first.at + random.between(0, 2_000) : random.between(0, healedAt),
    by: random.of(['ann', 'schedule', 'event', 'event'] as const),
    compromised: random.chance(0.03),
  }));
  return [first, ...more];
}
