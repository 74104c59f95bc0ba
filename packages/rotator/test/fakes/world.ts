import type { SecretValue } from '@keyturn/source';
import type { RotationEvent } from '../../src/events.ts';
import type { Json } from '../../src/journal/run.ts';
import type { GivenOrder, Request } from '../../src/order.ts';
import type { SecretPolicy } from '../../src/policy/secret-policy.ts';
import { whichRotation, type Requested } from '../../src/policy/which-rotation.ts';
import type { Outcome, Rotation } from '../../src/rotation.ts';
import type { Run } from '../../src/journal/run.ts';
import { rotate } from '../../src/runbook.ts';
import { brokenInvariants } from '../invariants.ts';
import { openSetClock, type SetClock } from './clock.ts';
import { openFakeFleet, type FakeFleet } from './fleet.ts';
import { startProcess, type Crash } from './process.ts';
import { openFakeRun, type Entry } from './run.ts';
import { openFakeSource, type FakeSource } from './source.ts';
import { openFakeVault, type FakeVault } from './vault.ts';

export const secret = 'orders-db';

export const usualPolicy: SecretPolicy = {
  secret,
  consumers: [
    { name: 'orders-api', ttlMs: 60_000, instances: 2, reports: true },
    { name: 'reports', ttlMs: 90_000, instances: 1, reports: false },
  ],
  validityMs: 90 * 86_400_000,
  clockSkewMs: 5_000,
  deadlineMs: 600_000,
  pollMs: 30_000,
  requestTimeoutMs: 10_000,
  retryForMs: 120_000,
};

/** How one process's work on a rotation ended. */
export type Ending =
  | { readonly kind: 'ended'; readonly outcome: Outcome; readonly calls: readonly string[] }
  | { readonly kind: 'failed'; readonly error: unknown; readonly calls: readonly string[] }
  | { readonly kind: 'crashed'; readonly calls: readonly string[] };

/** A rotation as the journal knows it. */
export interface Attempt {
  readonly request: Requested;
  readonly entries: Entry[];
  state: 'open' | 'ended' | 'failed';
}

export interface World {
  readonly clock: SetClock;
  readonly vault: FakeVault;
  readonly source: FakeSource;
  readonly fleet: FakeFleet;
  readonly policy: SecretPolicy;
  readonly attempts: readonly Attempt[];
  readonly events: readonly RotationEvent[];
  readonly errors: readonly unknown[];
  readonly outcomes: readonly Outcome[];
  /** An operator says something to the open rotation. */
  say(order: GivenOrder['order'], by?: string): void;
  /** What was found broken, after which call. */
  readonly broken: ReadonlySet<string>;
  /** What the first version held. */
  readonly oldValue: SecretValue;
  /** Somebody asks for a rotation; a new process does what it takes. */
  request(how?: { crash?: Crash | undefined; crashAt?: number }): Promise<Ending>;
  /** A new process finishes what the journal holds, as one does that starts up. Undefined if nothing is open. */
  recover(how?: { crash?: Crash | undefined }): Promise<Ending | undefined>;
  loseJournal(): void;
  /** Has the journal hold a rotation that some other process began. */
  findInJournal(request: Requested, entries: Entry[]): void;
  /** Has something happen right after the n-th call of this name, whoever makes it. */
  afterCall(name: string, happening: () => void, nth?: number): void;
}

export type Runbook = (run: Run, rotation: Rotation) => Promise<Outcome>;

/** A secret with two instances that run on its first version, which the source holds in slot a. */
export function openWorld(
  options: { policy?: Partial<SecretPolicy>; runbook?: Runbook; asked?: Request } = {},
): World {
  const policy = { ...usualPolicy, ...options.policy };
  const runbook = options.runbook ?? rotate;
  const clock = openSetClock();
  const source = openFakeSource();
  const { requestTimeoutMs } = policy;
  const vault = openFakeVault({ clock, requestTimeoutMs, isProven: (value) => source.isProven(value) });
  const oldValue = source.setByHand('a', 'a');
  vault.set(oldValue);
  clock.advance(3_600_000);
  const fleet = openFakeFleet({ clock, vault, source, reactionMs: 1_500 });
  fleet.start('orders-api', 'one');
  fleet.start('orders-api', 'two');

  let attempts: Attempt[] = [];
  let processes = 0;
  const events: RotationEvent[] = [];
  const errors: unknown[] = [];
  const outcomes: Outcome[] = [];
  const signals: Json[] = [];
  let said = 0;
  const broken = new Set<string>();
  const hooks: { name: string; left: number; happening: () => void }[] = [];

  function afterEachCall(name: string): void {
    for (const hook of hooks.filter((one) => one.name === name)) {
      hook.left -= 1;
      if (hook.left === 0) hook.happening();
    }
    for (const what of brokenInvariants(world)) broken.add(what);
  }

  async function work(attempt: Attempt, crash?: Crash, crashAt?: number): Promise<Ending> {
    processes += 1;
    const process = startProcess({
      crash,
      later: (effect) => clock.at(clock.now() + 0.9 * requestTimeoutMs, effect),
      onCall: () => clock.advance(120),
      afterCall: afterEachCall,
    });
    if (crashAt !== undefined) clock.at(crashAt, () => process.crash());
    const itsClock = {
      now: () => clock.now(),
      sleep: async (ms: number) => {
        await clock.sleep(ms);
        await process.alive();
      },
    };
    const rotation: Rotation = {
      ...attempt.request,
      policy,
      source: process.connect('source', source.port),
      vault: process.connect('vault', vault.port),
      fleet: process.connect('fleet', fleet.port),
      clock: itsClock,
      report: (event) => void events.push(event),
      incarnation: `process ${processes}`,
      attention: () => said,
      others: async () =>
        attempts.filter((one) => one !== attempt && one.state === 'open').map(({ request }) => request.id),
    };
    const run = openFakeRun({
      id: attempt.request.id,
      entries: attempt.entries,
      process,
      clock: itsClock,
      retryForMs: policy.retryForMs,
      report: rotation.report,
      signals,
      onError: (error) => void errors.push(error),
    });
    const { calls } = process;
    const ending = await Promise.race<Ending>([
      process.died.then(() => ({ kind: 'crashed', calls })),
      runbook(run, rotation).then(
        (outcome) => ({ kind: 'ended', outcome, calls }),
        (error: unknown) => ({ kind: 'failed', error, calls }),
      ),
    ]);
    if (ending.kind !== 'crashed') attempt.state = ending.kind;
    if (ending.kind === 'ended') outcomes.push(ending.outcome);
    if (ending.kind === 'failed') errors.push(ending.error);
    afterEachCall('the end');
    return ending;
  }

  const world: World = {
    clock,
    vault,
    source,
    fleet,
    policy,
    get attempts() {
      return attempts;
    },
    events,
    errors,
    outcomes,
    say(order, by = 'ann') {
      said += 1;
      signals.push({ order, who: by, why: 'she knows', at: new Date(clock.now()).toISOString() });
    },
    broken,
    oldValue,
    async request({ crash, crashAt } = {}) {
      const open = attempts.find(({ state }) => state === 'open');
      if (open) return work(open, crash, crashAt);
      const current = await vault.port.current(secret);
      const versions = await vault.port.versions(secret);
      const which = whichRotation({ vault: vault.port.url, secret, current, versions });
      const request = options.asked ? { ...which, request: options.asked } : which;
      const attempt: Attempt = { request, entries: [], state: 'open' };
      attempts.push(attempt);
      return work(attempt, crash, crashAt);
    },
    async recover({ crash } = {}) {
      const attempt = attempts.find(({ state }) => state === 'open');
      return attempt && work(attempt, crash);
    },
    loseJournal() {
      attempts = [];
    },
    findInJournal: (request, entries) => void attempts.push({ request, entries, state: 'open' }),
    afterCall: (name, happening, nth = 1) => void hooks.push({ name, left: nth, happening }),
  };
  return world;
}
