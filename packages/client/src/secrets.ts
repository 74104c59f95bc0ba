import { openAdoption } from './adoption.ts';
import { longestTimerMs, systemClock, type Clock } from './clock.ts';
import { openListeners, type SecretsEvents, type SecretsListener } from './events.ts';
import { openLiveSecret, type LiveSecret } from './live-secret.ts';
import { LatestSecret, type SecretHandle } from './handle.ts';
import { isRefusal } from './refusal.ts';
import { openRotatorChannel, type RotatorChannel, type RotatorOptions } from './rotator-channel.ts';
import type { Secret } from './secret.ts';
import { SecretsError } from './secrets-error.ts';
import { readVault, type SecretVault } from './vault.ts';

export interface SecretsOptions {
  /** Where secrets are read: `keyVault(url)` of `@keyturn/client/azure`, or anything of that shape. */
  readonly vault: SecretVault;
  /** How old a value may get before the vault is asked again, milliseconds; default 60,000. */
  readonly ttlMs?: number;
  /** An answer that takes longer counts as none, milliseconds; default 5,000. */
  readonly vaultTimeoutMs?: number;
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

/** The secrets of an application. */
export interface Secrets {
  /** The current value; only the first load waits for the vault. */
  get(name: string): Promise<Secret>;
  /** A reference whose `current` is a property read. Begins to load at once. */
  handle(name: string): SecretHandle;
  /**
   * Runs `action` with the current value; the version counts as in use until it settles. If the source refuses
   * the credential, the value is read past the cache and, when a newer version came, `action` runs once more.
   */
  use<Result>(
    name: string,
    action: (secret: Secret) => Result | Promise<Result>,
    options?: { readonly refused?: (error: unknown) => boolean },
  ): Promise<Result>;
  /** The seam for adapters: from before the first login with `version` until its last connection is gone. */
  hold(name: string, version: string): Hold;
  /** Returns what unsubscribes. */
  on<Event extends keyof SecretsEvents>(event: Event, listener: SecretsListener<Event>): () => void;
  /** Says goodbye to the rotator, stops refreshing and aborts reads. Loaded values stay readable. */
  close(): Promise<void>;
}

/**
 * Opens the secrets of an application. Nothing is read before it is asked for; nothing keeps the process alive.
 *
 * @example
 * const secrets = openSecrets({ vault: keyVault('https://orders.vault.azure.net') });
 * const key = await secrets.get('stripe-key');
 */
export function openSecrets(options: SecretsOptions): Secrets {
  const {
    vault,
    ttlMs = 60_000,
    vaultTimeoutMs = 5_000,
    clock = systemClock,
    random = Math.random,
  } = options;
  requireDuration('ttlMs', ttlMs);
  requireDuration('vaultTimeoutMs', vaultTimeoutMs);
  const all = new Map<string, LiveSecret>();
  const { on, emit } = openListeners();
  let channel: RotatorChannel | undefined;
  let closing: Promise<void> | undefined;

  const adoption = openAdoption({
    clock,
    current: () =>
      [...all.values()].flatMap(({ name, latest: { current } }) =>
        current ? [[name, current.version] as const] : [],
      ),
    changed: () => channel?.changed(),
  });

  function live(name: string): LiveSecret {
    return all.get(name) ?? openLive(name);
  }

  function openLive(name: string): LiveSecret {
    const opened = openLiveSecret({
      name,
      ttlMs,
      vaultTimeoutMs,
      clock,
      random,
      read: (abortSignal) => readVault(vault, name, abortSignal),
      changed({ version }, previous) {
        emit('changed', { name, version, previous: previous?.version });
        channel?.changed();
      },
      failed: (failure) => emit('unreachable', { what: 'vault', name, ...failure }),
      stale: (stale) => emit('stale', { name, version: opened.latest.current?.version ?? '', ...stale }),
    });
    if (closing) opened.close();
    all.set(name, opened);
    return opened;
  }

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
      announced({ secret, version, spreadMs }) {
        for (const known of all.values())
          if (isSameName(known.name, secret)) known.announced(version, spreadMs);
      },
      unreachable: (failure) => emit('unreachable', { what: 'rotator', ...failure }),
    });
  }

  return {
    on,
    get: (name) => live(name).load(),
    handle: (name) => new LatestSecret(live(name)),
    async use(name, action, { refused: isRefused = isRefusal } = {}) {
      const secret = await live(name).load();
      try {
        return await useOnce(secret, action);
      } catch (error) {
        if (!isRefused(error)) throw error;
        const newest = await refused(name, secret.version);
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
      closing ??= channel?.close() ?? Promise.resolve();
      return closing;
    },
  };
}

/** Key Vault doesn't tell capitals from small letters in names. */
function isSameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function requireDuration(name: string, ms: number): void {
  if (ms > 0 && ms <= longestTimerMs) return;
  throw new SecretsError(
    'OPTIONS_INVALID',
    `${name} is ${ms}. Give milliseconds, above 0 and at most ${longestTimerMs}.`,
  );
}
