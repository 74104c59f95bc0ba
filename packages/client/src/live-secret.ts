import { backoffMs } from './backoff.ts';
import { cancelNothing, type Clock } from './clock.ts';
import { LatestSecret } from './handle.ts';
import { rememberVersion } from './recent-versions.ts';
import { Secret } from './secret.ts';
import { SecretsError } from './secrets-error.ts';
import type { Reading } from './vault.ts';
import { toVaultError } from './vault-error.ts';

/**
 * The state machine of one secret. What holds at every instant:
 *
 * - One read is in flight. A refusal, or an announcement whose time has come, supersedes a read that began
 *   before it: that one is aborted and its answer, however late, is dropped.
 * - Version ids have no order, so reads are numbered as they start, and whoever must see what the vault held
 *   at some instant waits for a read with a higher number than any that had started by then.
 * - A version that was replaced here doesn't come back: whoever answers with it lags behind. Only after it has been the
 *   vault's answer for ten minutes, or when a source refuses the newer one, is it taken for a vault that was restored.
 * - `current` is the last good value. A refused version never replaces one that was not refused, and a vault that
 *   fails takes it away only after `staleIfErrorMs`.
 * - While a rotator watches the secret, the vault is asked every `safetyTtlMs` instead of every `ttlMs`, as soon as
 *   a read that began under its watch has succeeded: what changed before the watch may not have been announced.
 */
export interface LiveSecret {
  readonly name: string;
  /** For the hot path. */
  readonly handle: LatestSecret;
  /** The last good value, unless there is none that may still be served. */
  readonly current: () => Secret | undefined;
  /** The last good value, even where it is too old to be served: connections may live by it. */
  readonly known: () => Secret | undefined;
  /** Why there is no current value. */
  missing(): SecretsError;
  health(): SecretHealth;
  /** `current`, or the outcome of the first load. While the vault fails it rejects at once with that failure. */
  load(): Promise<Secret>;
  /** Whether the rotator will announce every new version from now on. */
  watched(isWatched: boolean): void;
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
  readonly staleIfErrorMs: number;
  readonly safetyTtlMs: number;
  readonly clock: Clock;
  /** 0 <= x < 1 */
  readonly random: () => number;
  readonly read: (abortSignal: AbortSignal) => Promise<Reading>;
  readonly changed: (secret: Secret, previous: Secret | undefined) => void;
  /** There is a value to serve, a new one or, after it lapsed, the same again. */
  readonly served?: () => void;
  readonly failed: (failure: { readonly error: SecretsError; readonly retryInMs: number }) => void;
  readonly stale: (stale: Staleness) => void;
}

export interface Staleness {
  /** Since the vault last confirmed the value. */
  readonly ageMs: number;
  /** Until it is not served any more. */
  readonly endsInMs: number;
  readonly error: SecretsError;
}

/** How a secret is, at one moment. */
export interface SecretHealth {
  readonly name: string;
  /**
   * - `loading`: nothing was read yet
   * - `fresh`: the last read succeeded
   * - `stale`: the last good value is served, since the vault fails
   * - `missing`: there is none to serve; `error` says why
   */
  readonly state: 'loading' | 'fresh' | 'stale' | 'missing';
  readonly version: string | undefined;
  /** Since the vault last confirmed the value, milliseconds. */
  readonly ageMs: number | undefined;
  readonly error: SecretsError | undefined;
}

/** How often a version that was announced but is not in the vault yet is looked for, besides the TTL. */
const chasesAtMost = 5;

/** A vault, or what stands before it, that asks to be left alone for longer is not obeyed: the value would lapse. */
const longestRetryAfterMs = 10 * 60_000;

/** How long a replica of the vault may lag behind; one that does so for longer is believed. */
const longestLagMs = 10 * 60_000;

export function openLiveSecret(options: LiveSecretOptions): LiveSecret {
  const { name, ttlMs, vaultTimeoutMs, clock, random } = options;
  const handle = new LatestSecret(name, { load, missing });
  let current: Secret | undefined;
  let known: Secret | undefined;
  let readAt = 0;
  let started = 0;
  let inFlight: { readonly number: number; abort(): void } | undefined;
  let waiters: Waiter[] = [];
  let wanted:
    | { readonly version: string; readonly fromRead: number; readonly notBefore: number; chases: number }
    | undefined;
  let failure:
    | {
        readonly error: SecretsError;
        readonly times: number;
        readonly notBefore: number;
        /** When the outage began. */
        readonly since: number;
      }
    | undefined;
  let saidStale = false;
  let lag: { readonly since: number; times: number } | undefined; // while the vault answers with a version of the past
  let watchedFromRead = Infinity; // none that began earlier counts
  let dueAt = 0; // when the timer fires
  let closed = false;
  const past = new Map<string, true>(); // versions that a newer one replaced here
  const refusals = new Map<string, Refusal>();
  let cancelTimer = cancelNothing;
  let cancelLapse = cancelNothing;

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
    options.read(controller.signal).then(settle, (error: unknown) => settle(toVaultError(error, name)));
  }

  function settled(number: number, outcome: Reading | SecretsError): void {
    const error = outcome instanceof SecretsError ? outcome : undefined;
    const retryInMs = error ? noteFailure(error) : 0;
    const previous = current;
    const changed = outcome instanceof SecretsError ? false : accept(outcome);
    scheduleAfter(number, retryInMs);

    const done = waiters.filter((waiter) => waiter.fromRead <= number);
    waiters = waiters.filter((waiter) => waiter.fromRead > number);
    for (const waiter of done) {
      if (error) waiter.reject(current ? error : why(error));
      else if (current) waiter.resolve(current);
    }
    // Last, because a listener may call back into this secret.
    if (changed && current) options.changed(current, previous);
    if (error) tellFailure(error, retryInMs);
  }

  function accept(reading: Reading): boolean {
    const { version } = reading;
    failure = undefined;
    saidStale = false;
    cancelLapse();
    noteLag(version);
    if (!lag) readAt = clock.now();
    const isNews = known?.version !== version && !isWorseThanKnown(version) && !lag;
    if (isNews) {
      if (known) rememberVersion(past, known.version, true);
      past.delete(version);
      known = new Secret({ name, ...reading });
    }
    if (known && current !== known) serve(known);
    return isNews;
  }

  function noteLag(version: string): void {
    const isPast = known && past.has(version) && !refusals.has(version) && !refusals.has(known.version);
    const now = clock.now();
    const { since, times } = lag ?? { since: now, times: 0 };
    lag = isPast && now - since < longestLagMs ? { since, times: times + 1 } : undefined;
  }

  function isWorseThanKnown(version: string): boolean {
    return known !== undefined && refusals.has(version) && !refusals.has(known.version);
  }

  function serve(secret: Secret): void {
    current = secret;
    handle.serve(secret);
    options.served?.();
  }

  /** The vault has failed for so long that the value may be long out of date. */
  function lapse(): void {
    current = undefined;
    handle.withdraw();
  }

  function why(error: SecretsError): SecretsError {
    return known ? lapsedError(name, options.staleIfErrorMs, error) : error;
  }

  function noteFailure(error: SecretsError): number {
    const times = (failure?.times ?? 0) + 1;
    const askedMs = Math.min(error.retryAfterMs ?? 0, longestRetryAfterMs);
    const retryInMs = Math.max(backoffMs({ attempt: times, random }), askedMs);
    const now = clock.now();
    if (!failure) cancelLapse = clock.after(options.staleIfErrorMs, lapse);
    failure = { error, times, notBefore: now + askedMs, since: failure?.since ?? now };
    return retryInMs;
  }

  function tellFailure(error: SecretsError, retryInMs: number): void {
    options.failed({ error, retryInMs });
    const now = clock.now();
    const ageMs = now - readAt;
    const isWithdrawn = error.code === 'VAULT_DISABLED' || error.code === 'VAULT_NO_SECRET';
    if (!current || saidStale || (ageMs < ttlMs && !isWithdrawn)) return;
    saidStale = true;
    options.stale({ ageMs, endsInMs: (failure?.since ?? now) + options.staleIfErrorMs - now, error });
  }

  function scheduleAfter(number: number, retryInMs: number): void {
    if (wanted?.version === known?.version) wanted = undefined;
    const isWatched = number >= watchedFromRead && !lag;
    const usualMs = (isWatched ? options.safetyTtlMs : ttlMs) * (0.9 + 0.1 * random());
    if (wanted && number < wanted.fromRead) {
      const leftMs = wanted.notBefore - clock.now();
      return schedule(Math.max(Math.min(leftMs, usualMs), retryInMs));
    }
    if (failure) return schedule(retryInMs);
    if (lag && lag.times <= chasesAtMost)
      return schedule(Math.min(ttlMs, backoffMs({ attempt: lag.times, random })));
    if (wanted && wanted.chases < chasesAtMost) {
      wanted.chases += 1;
      return schedule(Math.min(ttlMs, backoffMs({ attempt: wanted.chases, random })));
    }
    wanted = undefined;
    schedule(usualMs);
  }

  function schedule(ms: number): void {
    cancelTimer();
    dueAt = clock.now() + ms;
    cancelTimer = clock.after(ms, () => {
      if (!inFlight || (wanted && inFlight.number < wanted.fromRead)) startRead();
    });
  }

  /** None is further away than this: the clock was set back since. */
  function untilMs(notBefore = 0): number {
    const ms = notBefore - clock.now();
    return ms <= longestRetryAfterMs ? ms : 0;
  }

  /** Resolves with the outcome of a read numbered `fromRead` or higher, which it starts if none is under way. */
  function outcomeFrom(fromRead: number): Promise<Secret> {
    const outcome = new Promise<Secret>((resolve, reject) => waiters.push({ fromRead, resolve, reject }));
    if (!inFlight || inFlight.number < fromRead) startRead();
    return outcome;
  }

  function load(): Promise<Secret> {
    if (handle.loaded) return handle.loaded;
    if (closed) return Promise.reject(closedError(name));
    if (inFlight) return outcomeFrom(inFlight.number);
    return failure ? Promise.reject(why(failure.error)) : outcomeFrom(started + 1);
  }

  function missing(): SecretsError {
    if (closed) return closedError(name);
    return failure ? why(failure.error) : notLoaded(name);
  }

  return {
    name,
    handle,
    current: () => current,
    known: () => known,
    missing,
    load,
    health() {
      const state = current ? (failure ? 'stale' : 'fresh') : failure ? 'missing' : 'loading';
      return {
        name,
        state,
        version: known?.version,
        ageMs: known && clock.now() - readAt,
        error: failure && (current ? failure.error : why(failure.error)),
      };
    },
    watched(isWatched) {
      if (isWatched === watchedFromRead < Infinity) return;
      watchedFromRead = isWatched ? started + 1 : Infinity;
      // Anew from here, and each instance at a moment of its own: they all lost the rotator at once.
      if (!isWatched && !failure && dueAt - clock.now() > ttlMs) schedule(ttlMs * random());
    },
    announced(version, spreadMs) {
      if (closed || started === 0 || known?.version === version || past.has(version)) return;
      if (wanted?.version === version) return;
      const now = clock.now();
      const inMs = Math.max(random() * spreadMs, untilMs(failure?.notBefore));
      wanted = { version, fromRead: started + 1, notBefore: now + inMs, chases: 0 };
      // A read that is due before serves as well. One that is overdue: the clock was set, or the machine slept.
      if (inFlight || now + inMs < dueAt || dueAt < now) schedule(inMs);
    },
    async refused(version) {
      const refusal = refusals.get(version) ?? { times: 0, notBefore: 0, fromRead: 0 };
      rememberVersion(refusals, version, refusal);
      if (closed || known?.version !== version) return current;
      // The first refusal of a version reads past the cache; whoever is refused meanwhile joins that read.
      const underWay = refusal.times > 0 && inFlight && inFlight.number >= refusal.fromRead;
      if (!underWay) {
        const now = clock.now();
        if (untilMs(refusal.notBefore) > 0 || untilMs(failure?.notBefore) > 0) return current;
        refusal.times += 1;
        refusal.notBefore = now + backoffMs({ attempt: refusal.times, random });
        refusal.fromRead = started + 1;
      }
      return outcomeFrom(refusal.fromRead).catch(() => current);
    },
    close() {
      closed = true;
      cancelTimer();
      cancelLapse();
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

function notLoaded(name: string): SecretsError {
  return new SecretsError(
    'NOT_LOADED',
    `The secret ${name} is not loaded yet. Await its handle's \`ready\`, or \`secrets.ready\`, first.`,
  );
}

function lapsedError(name: string, staleIfErrorMs: number, cause: SecretsError): SecretsError {
  const hours = Math.round(staleIfErrorMs / 360_000) / 10;
  return new SecretsError(
    'VALUE_STALE',
    `The secret ${name} could not be refreshed for ${hours} h, so its last value is not served any more. ${cause.message}`,
    { cause, retryAfterMs: cause.retryAfterMs },
  );
}

function closedError(name: string): SecretsError {
  return new SecretsError('CLOSED', `The secret ${name} can't be read any more: the secrets were closed.`);
}
