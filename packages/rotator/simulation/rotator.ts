import { SourceError, type Source } from '@keyturn/source';
import type { Clock } from '../src/clock.ts';
import type { Fleet } from '../src/fleet/fleet.ts';
import { RotatorError } from '../src/rotator-error.ts';
import type { Vault } from '../src/vault.ts';
import { leaseMs } from './fleet.ts';
import type { DiesWhen, Fate, Lapse, Service } from './scenario.ts';
import { short } from './story.ts';
import type { World } from './world.ts';

/** One process of the rotator. Once it has died, nothing in it ever goes on. */
export interface RotatorProcess {
  /** Processes that follow one another under one name share it. */
  readonly executorId: string;
  readonly incarnation: string;
  readonly startedAt: number;
  readonly isDead: boolean;
  /** The database has given its lock away, whether it knows or not; since when. */
  lockLostAt: number | undefined;
  readonly clock: Clock;
  readonly vault: Vault;
  readonly source: Source;
  readonly fleet: Fleet;
  /** A request to the database, which takes effect at once when it arrives. */
  database<T>(name: string, effect: () => T): Promise<T>;
  /** Resolves while it holds its lock, and never once it doesn't. */
  mayAct(): Promise<void>;
  /** Stands still; whatever comes meanwhile is seen to afterwards. */
  pause(forMs: number): void;
  die(): void;
}

type Fault = 'request lost' | 'answer lost' | 'late' | 'throttled' | 'unavailable';

/** What may befall a request. A source gives up a statement before its answer is given up, so it is never late. */
const faults: Readonly<Record<Service, readonly Fault[]>> = {
  vault: ['request lost', 'answer lost', 'late', 'throttled', 'unavailable'],
  source: ['request lost', 'answer lost', 'unavailable'],
  database: [],
};

export function startProcess(
  world: World,
  at: {
    readonly executorId: string;
    readonly number: number;
    readonly fate: Fate | undefined;
    readonly lapse: Lapse | undefined;
  },
): RotatorProcess {
  const { timeline, random, scenario, tell, count } = world;
  const { executorId, fate, lapse } = at;
  const timeoutMs = scenario.policy.requestTimeoutMs;
  const skewMs = random.between(-scenario.skewMs, scenario.skewMs);
  const incarnation = `${executorId}, process ${at.number}`;
  const startedAt = timeline.now;
  let calls = 0;
  let dead = false;
  let pausedUntil = 0;

  /** Goes on in this process: later if it stands still, never if it is dead. */
  function resume(goOn: () => void): void {
    if (dead) return;
    if (timeline.now < pausedUntil) timeline.after(pausedUntil - timeline.now, () => resume(goOn));
    else goOn();
  }

  function die(): void {
    if (dead) return;
    dead = true;
    process.lockLostAt ??= timeline.now;
    tell(() => `${incarnation} dies`);
    count('deaths');
    world.processDied(process, fate);
  }

  function diesNow(when: DiesWhen, call: number): boolean {
    if (fate?.when !== when || fate.call !== call || world.isHealed()) return false;
    die();
    return true;
  }

  function draw(service: Service): Fault | undefined {
    if (world.isOut(service)) return service === 'database' ? undefined : 'request lost';
    if (world.isHealed() || !random.chance(scenario.faultRate) || faults[service].length === 0)
      return undefined;
    return random.of(faults[service]);
  }

  function request<T>(service: Service, name: string, effect: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (dead) return;
      calls += 1;
      const call = calls;
      if (lapse?.call === call && !world.isHealed()) world.lapsed(process, lapse);
      const fault = draw(service);
      const { leastMs, mostMs } = scenario.latency;
      if (diesNow('before', call)) return;
      const fail = (error: Error, afterMs: number): void =>
        timeline.after(afterMs, () =>
          resume(() => {
            tell(() => `${incarnation}: ${name} fails: ${error.message}`);
            reject(error);
          }),
        );
      if (fault) count(`request: ${fault}`);
      if (fault === 'throttled') return fail(throttled(), leastMs);
      if (fault === 'unavailable') return fail(noAnswer(service), leastMs);
      if (fault) fail(noAnswer(service), timeoutMs);
      if (fault === 'request lost') return;

      const isLate = fault === 'late' || diesNow('late', call);
      const sendMs = isLate
        ? random.between(dead ? 0 : timeoutMs, (dead ? 0.9 : 1.9) * timeoutMs)
        : random.between(leastMs, mostMs);
      timeline.after(sendMs, () => {
        let result: T;
        try {
          result = effect();
        } catch (error) {
          tell(() => `${name} is refused: ${(error as Error).message}${dead ? ' (nobody hears it)' : ''}`);
          if (!fault) timeline.after(random.between(leastMs, mostMs), () => resume(() => reject(error)));
          return;
        }
        if (isLate || fault)
          tell(() => `${name} takes effect${isLate ? ', late' : ', and its answer is lost'}`);
        if (diesNow('after', call) || fault || dead) return;
        timeline.after(random.between(leastMs, mostMs), () => resume(() => resolve(result)));
      });
    });
  }

  const { vault, source, fleet } = world;
  /** Says which changes are made; what only looks is not worth a line. */
  const change = <T>(service: Service, name: string, effect: () => T): Promise<T> => {
    tell(() => `${incarnation} asks for ${name}`);
    return request(service, name, effect);
  };
  const process: RotatorProcess = {
    executorId,
    incarnation,
    startedAt,
    get isDead() {
      return dead;
    },
    lockLostAt: undefined,
    clock: {
      now: () => timeline.now + skewMs,
      sleep: (ms) => new Promise((resolve) => timeline.after(ms, () => resume(resolve))),
    },
    vault: {
      url: 'https://orders.vault.azure.net',
      current: (name) => request('vault', 'vault.current', () => vault.current(name)),
      versions: (name) => request('vault', 'vault.versions', () => vault.versions(name)),
      read: (name, version) => request('vault', 'vault.read', () => vault.read(name, version)),
      publish: (name, value, properties) =>
        change('vault', 'a publication', () => {
          const published = vault.publish(name, value, properties);
          tell(() => `${published.version} is published${properties.tags.rolledBack ? ', a roll back' : ''}`);
          return published;
        }),
      tag: (name, version, tags) =>
        change('vault', `a tag on ${version}`, () => vault.tag(name, version, tags)),
      disable: (name, version, tags) =>
        change('vault', `disabling ${version}`, () => vault.disable(name, version, tags)),
    },
    source: {
      kind: 'simulated',
      issue: (rotation, current) =>
        change('source', `a credential for the rotation ${short(rotation)}`, () => {
          world.issuing(rotation);
          const issued = source.issue(rotation, current);
          tell(() => `${short(issued.ref)} is issued`);
          return issued;
        }),
      prove: (value) => request('source', 'source.prove', () => source.prove(value)),
      usage: (ref) => request('source', 'source.usage', () => source.usage(ref)),
      revoke: (ref) =>
        change('source', `the end of ${short(ref)}`, () => {
          source.revoke(ref);
          tell(() => `${short(ref)} is revoked`);
        }),
      list: () => request('source', 'source.list', () => source.list()),
    },
    fleet: {
      settledAt: startedAt + skewMs + 2 * leaseMs,
      announce: (announcement) => request('database', 'fleet.announce', () => fleet.announce(announcement)),
      instances: () => request('database', 'fleet.instances', () => fleet.instances(startedAt)),
    },
    database: (name, effect) => request('database', name, effect),
    async mayAct() {
      // The answer is as old as its way back, and no older: after a pause it is asked for again.
      for (;;) {
        const askedAt = timeline.now;
        const isHeld = await request('database', 'journal.lock', () => process.lockLostAt === undefined);
        if (!isHeld) return new Promise(() => undefined);
        if (timeline.now - askedAt <= timeoutMs) return;
      }
    },
    pause(forMs) {
      pausedUntil = timeline.now + forMs;
      tell(() => `${incarnation} stands still for ${forMs / 1_000} s`);
    },
    die,
  };
  return process;
}

function throttled(): RotatorError {
  return new RotatorError('VAULT_THROTTLED', 'The vault asks for patience.');
}

function noAnswer(service: Service): Error {
  return service === 'source'
    ? new SourceError('UNREACHABLE', 'No answer from the source.')
    : new RotatorError('VAULT_UNREACHABLE', 'No answer from the vault.');
}
