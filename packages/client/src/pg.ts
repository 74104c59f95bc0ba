import type { PoolClient, PoolConfig, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { backoffMs } from './backoff.ts';
import { cancelNothing, systemClock } from './clock.ts';
import { openOneVersionPool, type OneVersionPool } from './one-version-pool.ts';
import type { Secret } from './secret.ts';
import type { Secrets } from './secrets.ts';
import { SecretsError } from './secrets-error.ts';

/** Everything of pg's configuration but the login, which is the secret's. */
export type SecretPoolConfig = Omit<PoolConfig, 'user' | 'password' | 'connectionString'>;

/** The part of `pg.Pool` that applications use. */
export interface SecretPool {
  query<Row extends QueryResultRow = QueryResultRow>(
    query: string | QueryConfig<unknown[]>,
    values?: unknown[],
  ): Promise<QueryResult<Row>>;
  /** Checks a client out; `client.release()` gives it back. Release it soon: a rotation waits for it. */
  connect(): Promise<PoolClient>;
  /** Serves who is waiting, then closes every connection. */
  end(): Promise<void>;
  /** `error`: an idle session ended, or a new version could not log in. Without a listener it is ignored. */
  on(event: 'error', listener: (error: Error) => void): SecretPool;
  off(event: 'error', listener: (error: Error) => void): SecretPool;
  /** Connections, those of an older version that is being drained included. */
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

/**
 * A PostgreSQL pool that takes up new versions of its secret while it serves: it proves the new login, swaps,
 * and drains the old connections. The value is a `postgres://` URL or JSON (`host`, `port`, `database`,
 * `username`, `password`). Loads the secret at the first use.
 *
 * @example
 * const pool = createPool(secrets, 'orders-db', { max: 10, application_name: 'orders-api' });
 * const { rows } = await pool.query('select id from orders where item = $1', ['tea']);
 */
export function createPool(secrets: Secrets, name: string, config: SecretPoolConfig = {}): SecretPool {
  const listeners = new Set<(error: Error) => void>();
  const draining = new Map<OneVersionPool, Promise<void>>();
  let active: OneVersionPool | undefined;
  let opening: Promise<void> | undefined;
  let swapping: Promise<void> | undefined;
  let ending: Promise<void> | undefined;
  let failures = 0;
  let cancelRetry = cancelNothing;

  const unsubscribe = secrets.on('changed', (event) => {
    if (event.name === name) void swap();
  });

  function failed(error: Error): void {
    // Apart, so that a listener that throws is seen but stops no swap half-way.
    for (const listener of listeners) queueMicrotask(() => listener(error));
  }

  function openVersion(secret: Secret): OneVersionPool {
    return openOneVersionPool({ secrets, secret, config, failed });
  }

  async function open(): Promise<void> {
    active = openVersion(await secrets.get(name));
    void swap(); // it may have changed since
  }

  /** The pool to log in with. Use it at once: after an `await` it may have been swapped and ended. */
  function usable(): OneVersionPool {
    if (active && !ending) return active;
    throw new SecretsError('CLOSED', `The pool of ${name} was ended. Open another one with createPool.`);
  }

  /** Makes one attempt to take up the newest version; a failed one is repeated later. Never rejects. */
  function swap(): Promise<void> {
    swapping ??= swapToNewest().finally(() => (swapping = undefined));
    return swapping;
  }

  async function swapToNewest(): Promise<void> {
    for (;;) {
      const newest = await secrets.get(name);
      if (!active || ending || newest.version === active.version) return;
      cancelRetry();
      const swapped = await swapTo(newest);
      const isNewest = (await secrets.get(name)).version === newest.version;
      if (!swapped && isNewest && !ending) return retryLater();
    }
  }

  async function swapTo(secret: Secret): Promise<boolean> {
    let next: OneVersionPool | undefined;
    try {
      next = openVersion(secret);
      await next.prove();
    } catch (error) {
      failed(error as Error);
      if (next && isLoginRefusal(error)) await next.hold.refused();
      if (next) drain(next);
      return false;
    }
    failures = 0;
    const before = active;
    active = next;
    if (before) drain(before);
    return true;
  }

  function retryLater(): void {
    failures += 1;
    const ms = backoffMs({ attempt: failures, random: Math.random, firstMs: 250 });
    cancelRetry = systemClock.after(ms, () => void swap());
  }

  function drain(old: OneVersionPool): void {
    draining.set(
      old,
      old.drain().finally(() => draining.delete(old)),
    );
  }

  async function connect(): Promise<PoolClient> {
    if (!active && !ending) await (opening ??= open().finally(() => (opening = undefined)));
    const first = usable();
    try {
      return await first.pool.connect();
    } catch (error) {
      if (!isLoginRefusal(error) || ending) throw error;
      await first.hold.refused();
      await swap();
      if (active === first) throw error;
      return usable().pool.connect();
    }
  }

  async function end(): Promise<void> {
    unsubscribe();
    cancelRetry();
    await opening?.catch(() => {});
    await swapping;
    if (active) drain(active);
    await Promise.all(draining.values());
  }

  const sum = (count: 'totalCount' | 'idleCount' | 'waitingCount') => {
    const pools = [...draining.keys(), ...(active && !draining.has(active) ? [active] : [])];
    return pools.reduce((total, { pool }) => total + pool[count], 0);
  };

  const secretPool: SecretPool = {
    connect,
    async query(query, values) {
      const client = await connect();
      let failure: Error | undefined;
      try {
        return await client.query(query, values);
      } catch (error) {
        failure = error as Error;
        throw error;
      } finally {
        client.release(failure); // like pg: a connection on which something failed is not used again
      }
    },
    end: () => (ending ??= end()),
    on(_event, listener) {
      listeners.add(listener);
      return secretPool;
    },
    off(_event, listener) {
      listeners.delete(listener);
      return secretPool;
    },
    get totalCount() {
      return sum('totalCount');
    },
    get idleCount() {
      return sum('idleCount');
    },
    get waitingCount() {
      return sum('waitingCount');
    },
  };
  return secretPool;
}

/** PostgreSQL said no to a login: wrong password, or a role that may not log in or is gone. */
function isLoginRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === '28P01' || code === '28000';
}
