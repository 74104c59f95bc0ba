import { openAdoption } from './adoption.ts';
import { requireDuration, systemClock, type Clock } from './clock.ts';
import { openListeners, type SecretsEvents, type SecretsListener } from './events.ts';
import { abortable, whenReady } from './ready.ts';
import { healthOf, type SecretsHealth } from './health.ts';
import { openLiveSecret, type LiveSecret } from './live-secret.ts';
import type { LatestSecret, SecretHandle } from './handle.ts';
import { isRefusal } from './refusal.ts';
import { openRotatorChannel, type RotatorChannel, type RotatorOptions } from './rotator-channel.ts';
import type { Secret } from './secret.ts';
import { SecretsError } from './secrets-error.ts';
import { openTelemetry } from './telemetry.ts';
import { readVault, type SecretVault } from './vault.ts';

export interface SecretsOptions {
  /** Where secrets are read: `keyVault(url)` of `@keyturn/client/azure`, or anything of that shape. */
  readonly vault: SecretVault;
  /** How old a value may get before the vault is asked again, milliseconds; default 60,000. */
  readonly ttlMs?: number;
  /** An answer that takes longer counts as none, milliseconds; default 5,000. */
  readonly vaultTimeoutMs?: number;
  /**
   * How long the last good value is served while the vault fails, milliseconds; default 24 hours. After that, a clear
   * error. The event `stale` comes when the first TTL is over.
   */
  readonly staleIfErrorMs?: number;
  /** Without it new versions are found by the TTL alone, and no rotation waits for this instance. */
  readonly rotator?: RotatorOptions;
  /** For tests; default the machine's clock. */
  readonly clock?: Clock;
  /** For tests, 0 <= x < 1; default `Math.random`. */
  readonly random?: () => number;
}

/** What an adapter says about one version it logs in with; see the README on writing one. */
export interface Hold {
  /** A fresh login with this version succeeded. */
  authenticated(): void;
  /** The source said no. Resolves, after a read past the cache, with the newest value known; never rejects. */
  refused(): Promise<Secret | undefined>;
  /** No connection of this version is left. */
  release(): void;
}

/** The secrets of an application; `Name` are their names, if they were declared. */
export interface Secrets<Name extends string = string> {
  /** The current value; only the first load waits for the vault. */
  get(name: Name, options?: { readonly signal?: AbortSignal }): Promise<Secret>;
  /**
   * Resolves once all of them are loaded; for the start of an application. Goes on trying while the vault fails, and
   * throws `NOT_READY` after `withinMs`, default 30,000.
   */
  ready(
    names: readonly Name[],
    options?: { readonly withinMs?: number; readonly signal?: AbortSignal },
  ): Promise<void>;
  /** A reference whose `current` is a property read. Begins to load at once. */
  handle(name: Name): SecretHandle;
  /**
   * Runs `action` with the current value; the version counts as in use until it settles. If the source refuses
   * the credential, the value is read past the cache and, when a newer version came, `action` runs once more.
   */
  use<Result>(
    name: Name,
    action: (secret: Secret) => Result | Promise<Result>,
    options?: { readonly refused?: (error: unknown) => boolean; readonly signal?: AbortSignal },
  ): Promise<Result>;
  /** The seam for adapters: from before the first login with `version` until its last connection is gone. */
  hold(name: Name, version: string): Hold;
  /** How everything is now, for a health endpoint; it holds no value. */
  health(): SecretsHealth;
  /** Returns what unsubscribes. */
  on<Event extends keyof SecretsEvents>(event: Event, listener: SecretsListener<Event>): () => void;
  /** Says goodbye to the rotator, stops refreshing and aborts reads. Loaded values stay readable. */
  close(): Promise<void>;
}

/**
 * Opens the secrets of an application. Nothing is read before it is asked for; nothing but `ready` keeps the process
 * alive.
 *
 * @example
 * const secrets = openSecrets({ vault: keyVault('https://orders.vault.azure.net') });
 * const key = await secrets.get('stripe-key');
 *
 * @example
 * const secrets = openSecrets<'orders-db' | 'stripe-key'>({ vault }); // another name doesn't compile
 */
export function openSecrets<Name extends string = string>(options: SecretsOptions): Secrets<Name> {
  const {
    vault,
    ttlMs = 60_000,
    vaultTimeoutMs = 5_000,
    staleIfErrorMs = 24 * 3_600_000,
    clock = systemClock,
    random = Math.random,
  } = options;
  requireDuration('ttlMs', ttlMs);
  requireDuration('vaultTimeoutMs', vaultTimeoutMs);
  requireDuration('staleIfErrorMs', staleIfErrorMs);
  const { safetyTtlMs = 12 * 3_600_000 } = options.rotator ?? {};
  requireDuration('safetyTtlMs', safetyTtlMs);
  let watched: readonly string[] = [];
  let lastAsked: LatestSecret | undefined; // asked for again and again, mostly: that saves looking it up
  const all = new Map<string, LiveSecret>();
  const { on, emit } = openListeners();
  const waiting = new Set<() => void>(); // for a secret to have a value
  const closed = new AbortController();
  let channel: RotatorChannel | undefined;
  let closing: Promise<void> | undefined;

  const adoption = openAdoption({
    clock,
    current: () =>
      [...all.values()].flatMap(({ name, known }) => {
        const secret = known();
        return secret ? [[name, secret.version] as const] : [];
      }),
    changed: () => channel?.changed(),
  });

  function live(name: string): LiveSecret {
    return all.get(name) ?? openLive(name);
  }

  function openLive(name: string): LiveSecret {
    requireName(name);
    const opened = openLiveSecret({
      name,
      ttlMs,
      vaultTimeoutMs,
      staleIfErrorMs,
      safetyTtlMs: Math.max(ttlMs, safetyTtlMs),
      clock,
      random,
      read: (abortSignal) => telemetry.read(name, () => readVault(vault, name, abortSignal)),
      changed({ version }, previous) {
        emit('changed', { name, version, previous: previous?.version });
        channel?.changed();
      },
      served: () => waiting.forEach((look) => look()),
      failed: (failure) => emit('unreachable', { what: 'vault', name, ...failure }),
      stale: (stale) => emit('stale', { name, version: opened.known()?.version ?? '', ...stale }),
    });
    opened.watched(isWatched(name));
    if (closing) opened.close();
    all.set(name, opened);
    return opened;
  }

  const health = (): SecretsHealth => healthOf([...all.values()], channel?.isConnected());
  const telemetry = openTelemetry({ on, health });

  const onServed = (look: () => void): (() => void) => {
    waiting.add(look);
    return () => waiting.delete(look);
  };

  const isWatched = (name: string): boolean => watched.some((secret) => isSameName(secret, name));

  function refused(name: string, version: string): Promise<Secret | undefined> {
    adoption.refused(name, version);
    emit('refused', { name, version });
    return live(name).refused(version);
  }

  async function useOnce<Result>(secret: Secret, action: (secret: Secret) => Result | Promise<Result>) {
    const done = adoption.use(secret.name, secret.version);
    try {
      const result = await action(secret);
      adoption.authenticated(secret.name, secret.version);
      return result;
    } finally {
      done();
    }
  }

  if (options.rotator) {
    channel = openRotatorChannel(options.rotator, {
      clock,
      random,
      report: adoption.report,
      isInUse: adoption.isInUse,
      announced({ secret, version, spreadMs }) {
        for (const known of all.values())
          if (isSameName(known.name, secret)) known.announced(version, spreadMs);
      },
      watches(names) {
        watched = names;
        for (const known of all.values()) known.watched(isWatched(known.name));
      },
      unreachable: (failure) => emit('unreachable', { what: 'rotator', ...failure }),
    });
  }

  return {
    on,
    get(name, wait) {
      if (lastAsked?.name !== name) lastAsked = live(name).handle;
      const loaded = lastAsked.loaded ?? lastAsked.ready;
      return wait?.signal ? abortable(loaded, wait.signal) : loaded;
    },
    ready: (names, { withinMs = 30_000, signal } = {}) =>
      whenReady(names.map(live), { withinMs, signal, clock, closed: closed.signal, onServed }),
    health,
    handle(name) {
      const secret = live(name);
      secret.load().catch(() => {}); // whoever awaits `ready` sees it
      return secret.handle;
    },
    async use(name, action, { refused: isRefused = isRefusal, signal } = noOptions) {
      const loaded = live(name).load();
      const secret = await (signal ? abortable(loaded, signal) : loaded);
      try {
        return await useOnce(secret, action);
      } catch (error) {
        if (!isRefused(error)) throw error;
        const read = refused(name, secret.version);
        const newest = await (signal ? abortable(read, signal) : read);
        if (!newest || newest.version === secret.version) throw error;
        return useOnce(newest, action).catch((again: unknown) => {
          if (isRefused(again)) void refused(name, newest.version);
          throw again;
        });
      }
    },
    hold(name, version) {
      live(name);
      const { authenticated, release } = adoption.hold(name, version);
      return { authenticated, release, refused: () => refused(name, version) };
    },
    close() {
      for (const secret of all.values()) secret.close();
      closed.abort();
      telemetry.close();
      closing ??= channel?.close() ?? Promise.resolve();
      return closing;
    },
  };
}

const noOptions: { readonly signal?: AbortSignal; readonly refused?: (error: unknown) => boolean } = {};

/** Key Vault doesn't tell capitals from small letters in names. */
function isSameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Anything else would be a request to some other address. */
function requireName(name: unknown): void {
  if (typeof name === 'string' && /^[0-9a-z-]{1,127}$/i.test(name)) return;
  throw new SecretsError(
    'OPTIONS_INVALID',
    'The name of a secret is 1 to 127 letters, digits and dashes. Check what is passed as its name.',
  );
}
