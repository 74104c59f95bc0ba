import type { Clock } from '../clock.ts';
import type { RotationRecord } from '../events.ts';
import { retryInMs } from '../policy/backoff.ts';
import type { Due } from '../policy/due.ts';

/** Why the last attempt got nowhere, and when the next one comes. */
export interface Failure {
  readonly message: string;
  readonly hint?: string;
  /** How many times in a row. */
  readonly failures: number;
  /** Milliseconds since 1970. */
  readonly nextAt: number;
}

interface Attempt extends Failure {
  /** A rotation that has begun may have issued: it goes on whether or not the secret is due, or a window open. */
  readonly begun: boolean;
}

/** Starts what is due, and tries again what has failed. */
export interface Schedule {
  /** Told of what happens to rotations. */
  record(record: RotationRecord): void;
  /** Notes a failure of an earlier process. */
  failed(secret: string, failure: { readonly message: string; readonly hint?: string }): void;
  failure(secret: string): Failure | undefined;
  stop(): void;
}

/** Looking at all of 10,000 secrets takes some milliseconds. */
const lookEveryMs = 5_000;
/** So many are started at one look; the others at the next. */
const startsAtOnce = 20;

/**
 * Each replica has its own; when two start the same rotation at the same moment it is one, because its id says what it
 * replaces.
 */
export function openSchedule(at: {
  readonly clock: Clock;
  readonly random: () => number;
  readonly secrets: readonly string[];
  /** When a secret is to be started, as far as is known now. */
  readonly due: (secret: string) => Due | undefined;
  /** Resolves when the rotation is sure to happen. */
  readonly start: (secret: string, because: string) => Promise<void>;
}): Schedule {
  const { clock, random, secrets, due, start } = at;
  const failures = new Map<string, Attempt>();
  /** What was started here and has not ended: it is not started again at the next look. */
  const underWay = new Set<string>();
  let stopped = false;

  function failed(secret: string, { message, hint }: { message: string; hint?: string }, begun = true): void {
    const times = (failures.get(secret)?.failures ?? 0) + 1;
    const nextAt = clock.now() + retryInMs(times, random);
    const said = { message, ...(hint === undefined ? {} : { hint }) };
    failures.set(secret, { ...said, failures: times, nextAt, begun });
  }

  /** What never began waits like any other start. */
  function failure(secret: string): Failure | undefined {
    const last = failures.get(secret);
    if (!last) return undefined;
    const { begun, ...shown } = last;
    return begun ? shown : { ...shown, nextAt: Math.max(shown.nextAt, due(secret)?.at ?? Infinity) };
  }

  function reason(secret: string): string | undefined {
    if (underWay.has(secret)) return undefined;
    const last = failure(secret);
    if (last) return last.nextAt <= clock.now() ? `attempt ${last.failures + 1}: ${last.message}` : undefined;
    const found = due(secret);
    return found && found.at <= clock.now() ? found.because : undefined;
  }

  async function begin(secret: string, because: string): Promise<void> {
    underWay.add(secret);
    try {
      await start(secret, because);
    } catch (error) {
      underWay.delete(secret);
      const { message, hint } = error as { message: string; hint?: string };
      const begun = failures.get(secret)?.begun ?? false;
      failed(secret, { message, ...(hint === undefined ? {} : { hint }) }, begun);
    }
  }

  async function look(): Promise<void> {
    const ready: Promise<void>[] = [];
    for (const secret of secrets) {
      const because = reason(secret);
      if (because !== undefined) ready.push(begin(secret, because));
      if (ready.length === startsAtOnce) break;
    }
    await Promise.all(ready); // none of them rejects
  }

  async function work(): Promise<void> {
    while (!stopped) {
      await look();
      await clock.sleep(lookEveryMs);
    }
  }
  void work();

  return {
    failed: (secret, said) => failed(secret, said),
    failure,
    record(record) {
      const secret = record.rotation.slice(0, record.rotation.lastIndexOf('@'));
      if (record.kind === 'ended') {
        underWay.delete(secret);
        failures.delete(secret);
      }
      if (record.kind !== 'failed') return;
      underWay.delete(secret);
      // An operator ended it: they will say when it goes on.
      if (record.code === 'ABORTED')
        failures.set(secret, { message: record.message, failures: 0, nextAt: Infinity, begun: true });
      else failed(secret, record);
    },
    stop() {
      stopped = true;
    },
  };
}
