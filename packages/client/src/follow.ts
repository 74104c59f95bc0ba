import { backoffMs } from './backoff.ts';
import { cancelNothing, systemClock } from './clock.ts';
import type { SecretHandle } from './handle.ts';
import { abortable } from './ready.ts';
import { isRefusal } from './refusal.ts';
import type { Secret } from './secret.ts';
import type { Hold, Secrets } from './secrets.ts';
import { SecretsError } from './secrets-error.ts';

/**
 * What an adapter knows of its driver. {@link follow} does the rest: it keeps the old login until the new one is
 * proven, moves on to every new version, reads past the cache when the source refuses one, tries again what
 * failed, and tells the rotator what is really in use.
 */
export interface Adapter<Login> {
  /**
   * Makes what logs in with this version: a pool, a client, or just the value for one that takes it while
   * connected. Needs not log in yet. `told` hears of every login that the driver makes by itself later on.
   */
  open(secret: Secret, told: Told): Login | Promise<Login>;
  /**
   * Logs in afresh. Throws what the source or the driver said. What it does with a proven login it does only while
   * `signal` isn't aborted: a proof that comes too late doesn't count.
   */
  prove(login: Login, signal: AbortSignal): Promise<unknown>;
  /** Ends it. Nothing uses it any more; resolves when its last connection is gone. Called once. */
  close(login: Login): void | Promise<void>;
  /** Whether an error is the source's no to the credential; default `isRefusal`. */
  readonly refused?: ((error: unknown) => boolean) | undefined;
  /** Told why the newest version could not be taken up. The old one stays, and it is tried again. */
  readonly failed?: ((error: Error) => void) | undefined;
  /** How long `prove` may take, milliseconds; default 10,000. */
  readonly loginTimeoutMs?: number | undefined;
}

export type Told = Pick<Hold, 'authenticated' | 'refused'>;

/** A login that is always that of the newest version which works. */
export interface Following<Login> {
  /**
   * Runs `action` with the newest login, which is opened at the first use; the old one is closed only when its
   * last action has settled. An action that is refused is run once more if there is a newer version. The signal ends
   * the waiting for a login; to end the action is the action's affair.
   */
  use<Result>(
    action: (login: Login) => Result | Promise<Result>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Result>;
  /** Those that are open: the newest first, then those that are being closed. */
  readonly open: readonly Login[];
  /** Waits for the actions under way, closes everything, and lets go of the secret. */
  close(): Promise<void>;
}

interface Opened<Login> {
  readonly version: string;
  readonly login: Login;
  readonly hold: Hold;
  uses: number;
  unused: () => void;
}

/**
 * Logs in with the newest version of a secret, and goes on doing so. This is what every adapter is built on.
 *
 * @example
 * const mail = follow(secrets, 'smtp', {
 *   open: (secret) => createTransport({ host, auth: JSON.parse(secret.reveal()) }),
 *   prove: (transport) => transport.verify(),
 *   close: (transport) => transport.close(),
 *   refused: (error) => error.responseCode === 535,
 * });
 * await mail.use((transport) => transport.sendMail(message));
 */
export function follow<Login, Name extends string = string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  adapter: Adapter<Login>,
): Following<Login> {
  const { failed = () => {}, loginTimeoutMs = 10_000 } = adapter;
  const isRefused = (error: unknown): boolean =>
    error !== undefined && error !== null && (adapter.refused ?? isRefusal)(error);
  const closing = new Map<Opened<Login>, Promise<void>>();
  let handle: SecretHandle | undefined;
  let newest: Opened<Login> | undefined;
  let moving: Promise<void> | undefined;
  let ended: Promise<void> | undefined;
  let waiting = 0; // actions that began before anything was open
  let failures = 0;
  let cancelRetry = cancelNothing;

  const unsubscribe = secrets.on('changed', (event) => {
    if (event.name === name && newest) moveInBackground();
  });

  /** Resolves once the newest version is logged in; throws why it isn't, and what was in use before stays. */
  function move(): Promise<void> {
    moving ??= moveOn();
    return moving;
  }

  async function moveOn(): Promise<void> {
    try {
      handle ??= secrets.handle(name);
      await handle.ready;
      while (isWanted() && newest?.version !== handle.current.version) {
        const next: Opened<Login> | undefined = await logIn(handle.current);
        if (next === undefined) continue; // there is a newer one already
        if (newest) void close(newest);
        newest = next;
      }
      failures = 0;
      cancelRetry();
    } finally {
      moving = undefined; // at once after the last look: what changes from here on moves anew
    }
  }

  const isWanted = (): boolean => !ended || (!newest && waiting > 0);

  /** Undefined when it failed, and a newer version is there. */
  async function logIn(secret: Secret): Promise<Opened<Login> | undefined> {
    const hold = secrets.hold(name, secret.version);
    let opened: Opened<Login> | undefined;
    try {
      const login = await adapter.open(secret, hold);
      opened = { version: secret.version, login, hold, uses: 0, unused: () => {} };
      await within(loginTimeoutMs, (signal) => adapter.prove(login, signal), secret);
      hold.authenticated();
      return opened;
    } catch (error) {
      if (isRefused(error)) await hold.refused();
      if (opened) void close(opened);
      else hold.release();
      if (handle?.current.version !== secret.version) {
        failed(error as Error);
        return undefined;
      }
      throw error;
    }
  }

  function moveInBackground(): void {
    cancelRetry();
    move().catch((error: unknown) => {
      if (ended) return;
      failed(error as Error);
      failures += 1;
      const ms = backoffMs({ attempt: failures, random: Math.random, firstMs: 250 });
      cancelRetry();
      cancelRetry = systemClock.after(ms, moveInBackground);
    });
  }

  function close(opened: Opened<Login>): Promise<void> {
    const closed = whenUnused(opened)
      .then(() => adapter.close(opened.login))
      .catch(failed)
      .finally(() => {
        closing.delete(opened);
        opened.hold.release();
      });
    closing.set(opened, closed);
    return closed;
  }

  async function whenUnused(opened: Opened<Login>): Promise<void> {
    if (opened.uses > 0) await new Promise<void>((resolve) => (opened.unused = resolve));
  }

  async function useOnce<Result>(
    opened: Opened<Login>,
    action: (login: Login) => Result | Promise<Result>,
  ): Promise<Result> {
    opened.uses += 1;
    try {
      return await action(opened.login);
    } finally {
      opened.uses -= 1;
      if (opened.uses === 0) opened.unused();
    }
  }

  async function firstLogin(): Promise<Opened<Login>> {
    waiting += 1;
    try {
      if (!ended) await move();
    } finally {
      waiting -= 1;
    }
    return newest ?? closedError(name);
  }

  return {
    async use(action, { signal } = {}) {
      if (newest && ended) closedError(name);
      const loggedIn = newest ?? firstLogin();
      const first = await (signal ? abortable(Promise.resolve(loggedIn), signal) : loggedIn);
      try {
        return await useOnce(first, action);
      } catch (error) {
        if (!isRefused(error) || ended || signal?.aborted) throw error;
        await first.hold.refused();
        await move().catch(failed);
        if (ended || newest === first || signal?.aborted) throw error;
        return useOnce(newest ?? closedError(name), action);
      }
    },
    get open() {
      const older = [...closing.keys()].filter((opened) => opened !== newest);
      return [...(newest ? [newest] : []), ...older].map(({ login }) => login);
    },
    close() {
      ended ??= (async () => {
        unsubscribe();
        cancelRetry();
        await moving?.catch(() => {});
        if (newest) void close(newest);
        await Promise.all(closing.values());
      })();
      return ended;
    },
  };
}

function closedError(name: string): never {
  throw new SecretsError('CLOSED', `What logs in with the secret ${name} was closed. Open another one.`);
}

async function within(
  ms: number,
  prove: (signal: AbortSignal) => Promise<unknown>,
  secret: Secret,
): Promise<void> {
  const stop = new AbortController();
  const proof = prove(stop.signal);
  const tooLate = Promise.withResolvers<never>();
  const cancel = systemClock.after(ms, () => {
    const error = new SecretsError(
      'LOGIN_TIMEOUT',
      `No answer to a login with ${secret.toString()} within ${ms} ms.`,
    );
    stop.abort(error);
    tooLate.reject(error);
  });
  try {
    await Promise.race([proof, tooLate.promise]);
  } finally {
    cancel();
    proof.catch(() => {}); // it may fail once it is closed
  }
}
