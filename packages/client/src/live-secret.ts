import { backoffMs } from './backoff.ts';
import { cancelNothing, type Clock } from './clock.ts';
import { rememberVersion } from './recent-versions.ts';
import { Secret } from './secret.ts';
import { SecretsError } from './secrets-error.ts';
import type { Reading } from './vault.ts';

/**
 * The state machine of one secret. What holds at every instant:
 *
 * - One read is in flight. A refusal, or an announcement whose time has come, supersedes a read that began
 *   before it: that one is aborted and its answer, however late, is dropped.
 * - Version ids have no order, so reads are numbered as they start, and whoever must see what the vault held
 *   at some instant waits for a read with a higher number than any that had started by then.
 * - `current` is the last good value. Failures never take it away, and a refused version never replaces
 *   one that was not refused.
 */
export interface LiveSecret {
  readonly name: string;
  /** Holds the last good value; undefined before the first load. A plain property, for the hot path. */
  readonly latest: { readonly current: Secret | undefined };
  /** `current`, or the outcome of the first load. While the vault fails it rejects at once with that failure. */
  load(): Promise<Secret>;
  /** The rotator says that `version` is current: read it after a random part of `spreadMs`. */
  announced(version: string, spreadMs: number): void;
  /** A source said no to `version`. Resolves with the newest value known after a read past the cache; never rejects. */
  refused(version: string): Promise<Secret | undefined>;
  close(): void;
}

export interface LiveSecretOptions {
  readonly name: string;
  readonly ttlMs: number;
  readonly vaultTimeoutMs: number;
  readonly clock: Clock;
  /** 0 <= x < 1 */
  readonly random: () => number;
  /** Fails with a `SecretsError` only. */
  readonly read: (abortSignal: AbortSignal) => Promise<Reading>;
  readonly changed: (secret: Secret, previous: Secret | undefined) => void;
  readonly failed: (failure: { readonly error: SecretsError; readonly retryInMs: number }) => void;
  readonly stale: (stale: { readonly ageMs: number; readonly error: SecretsError }) => void;
}

/** How often a version that was announced but is not in the vault yet is looked for, besides the TTL. */
const chasesAtMost = 5;

export function openLiveSecret(options: LiveSecretOptions): LiveSecret {
  const { name, ttlMs, vaultTimeoutMs, clock, random } = options;
  const latest: { current: Secret | undefined } = { current: undefined };
  let loaded: Promise<Secret> | undefined; // resolved with `current`: a warm load makes nothing new
  let readAt = 0;
  let started = 0;
  let inFlight: { readonly number: number; abort(): void } | undefined;
  let waiters: Waiter[] = [];
  let wanted: { readonly version: string; readonly fromRead: number; chases: number } | undefined;
  let failure:
    | { readonly error: SecretsError; readonly times: number; readonly notBefore: number }
    | undefined;
  let saidStale = false;
  let closed = false;
  const past = new Map<string, true>(); // versions that a newer one replaced here
  const refusals = new Map<string, Refusal>();
  let cancelTimer = cancelNothing;

  function startRead(): void {
    inFlight?.abort();
    cancelTimer();
    started += 1;
    const number = started;
    const controller = new AbortController();
    const settle = (outcome: Reading | SecretsError) => {
      if (inFlight?.number !== number) return; // superseded, cut off or closed
      inFlight.abort();
      settled(number, outcome);
    };
    const cancelLimit = clock.after(vaultTimeoutMs, () => settle(timedOut(name, vaultTimeoutMs)));
    inFlight = {
      number,
      abort() {
        cancelLimit();
        inFlight = undefined;
        controller.abort();
      },
    };
    options.read(controller.signal).then(settle, settle);
  }

  function settled(number: number, outcome: Reading | SecretsError): void {
    const error = outcome instanceof SecretsError ? outcome : undefined;
    const retryInMs = error ? noteFailure(error) : 0;
    const previous = latest.current;
    const changed = outcome instanceof SecretsError ? false : accept(outcome);
    scheduleAfter(number, retryInMs);

    const done = waiters.filter((waiter) => waiter.fromRead <= number);
    waiters = waiters.filter((waiter) => waiter.fromRead > number);
    for (const waiter of done) {
      if (error) waiter.reject(error);
      else if (latest.current) waiter.resolve(latest.current);
    }
    // Last, because a listener may call back into this secret.
    if (changed && latest.current) options.changed(latest.current, previous);
    if (error) tellFailure(error, retryInMs);
  }

  function accept(reading: Reading): boolean {
    failure = undefined;
    saidStale = false;
    readAt = clock.now();
    const { version } = reading;
    if (latest.current?.version === version) return false;
    if (latest.current && refusals.has(version) && !refusals.has(latest.current.version)) return false;
    if (latest.current) rememberVersion(past, latest.current.version, true);
    past.delete(version);
    latest.current = new Secret({ name, ...reading });
    loaded = Promise.resolve(latest.current);
    return true;
  }

  function noteFailure(error: SecretsError): number {
    const times = (failure?.times ?? 0) + 1;
    const retryInMs = Math.max(backoffMs({ attempt: times, random }), error.retryAfterMs ?? 0);
    failure = { error, times, notBefore: clock.now() + (error.retryAfterMs ?? 0) };
    return retryInMs;
  }

  function tellFailure(error: SecretsError, retryInMs: number): void {
    options.failed({ error, retryInMs });
    const ageMs = clock.now() - readAt;
    if (!latest.current || saidStale || ageMs < ttlMs) return;
    saidStale = true;
    options.stale({ ageMs, error });
  }

  function scheduleAfter(number: number, retryInMs: number): void {
    if (wanted?.version === latest.current?.version) wanted = undefined;
    if (wanted && number < wanted.fromRead) return; // its timer runs already
    if (failure) return schedule(retryInMs);
    if (wanted && wanted.chases < chasesAtMost) {
      wanted.chases += 1;
      return schedule(Math.min(ttlMs, backoffMs({ attempt: wanted.chases, random })));
    }
    wanted = undefined;
    schedule(ttlMs * (0.9 + 0.1 * random()));
  }

  function schedule(ms: number): void {
    cancelTimer();
    cancelTimer = clock.after(ms, () => {
      if (!inFlight || (wanted && inFlight.number < wanted.fromRead)) startRead();
    });
  }

  /** Resolves with the outcome of a read numbered `fromRead` or higher, which it starts if none is under way. */
  function outcomeFrom(fromRead: number): Promise<Secret> {
    const outcome = new Promise<Secret>((resolve, reject) => waiters.push({ fromRead, resolve, reject }));
    if (!inFlight || inFlight.number < fromRead) startRead();
    return outcome;
  }

  return {
    name,
    latest,
    load() {
      if (loaded) return loaded;
      if (closed) return Promise.reject(closedError(name));
      if (inFlight) return outcomeFrom(inFlight.number);
      return failure ? Promise.reject(failure.error) : outcomeFrom(started + 1);
    },
    announced(version, spreadMs) {
      if (closed || started === 0 || latest.current?.version === version || past.has(version)) return;
      if (wanted?.version === version) return;
      wanted = { version, fromRead: started + 1, chases: 0 };
      const untilRetryMs = (failure?.notBefore ?? 0) - clock.now();
      schedule(Math.max(random() * spreadMs, untilRetryMs));
    },
    async refused(version) {
      const refusal = refusals.get(version) ?? { times: 0, notBefore: 0, fromRead: 0 };
      rememberVersion(refusals, version, refusal);
      if (closed || latest.current?.version !== version) return latest.current;
      // The first refusal of a version reads past the cache; whoever is refused meanwhile joins that read.
      const underWay = refusal.times > 0 && inFlight && inFlight.number >= refusal.fromRead;
      if (!underWay) {
        const now = clock.now();
        if (now < refusal.notBefore || now < (failure?.notBefore ?? 0)) return latest.current;
        refusal.times += 1;
        refusal.notBefore = now + backoffMs({ attempt: refusal.times, random });
        refusal.fromRead = started + 1;
      }
      return outcomeFrom(refusal.fromRead).catch(() => latest.current);
    },
    close() {
      closed = true;
      cancelTimer();
      inFlight?.abort();
      for (const waiter of waiters.splice(0)) waiter.reject(closedError(name));
    },
  };
}

interface Waiter {
  readonly fromRead: number;
  resolve(secret: Secret): void;
  reject(error: SecretsError): void;
}

interface Refusal {
  /** Reads past the cache that it caused, and when the next one may start. */
  times: number;
  notBefore: number;
  fromRead: number;
}

function timedOut(name: string, vaultTimeoutMs: number): SecretsError {
  return new SecretsError(
    'VAULT_TIMEOUT',
    `Could not read the secret ${name}: no answer within ${vaultTimeoutMs} ms. Check the vault's URL, DNS and firewall.`,
  );
}

function closedError(name: string): SecretsError {
  return new SecretsError('CLOSED', `The secret ${name} can't be read any more: the secrets were closed.`);
}
