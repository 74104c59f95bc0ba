import { createPool as openPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2/promise';
import { follow } from '../follow.ts';
import type { Secrets } from '../secrets.ts';
import { mysqlLogin } from './mysql-login.ts';

/** Everything of mysql2's configuration but the login, which is the secret's. */
export type SecretPoolOptions = Omit<PoolOptions, 'user' | 'password' | 'password1' | 'uri' | 'passwordSha1'>;

/** The part of mysql2's promise pool that applications use. */
export interface SecretPool {
  readonly query: Pool['query'];
  readonly execute: Pool['execute'];
  /** Checks a connection out; `release()` gives it back. Release it soon: a rotation waits for it. */
  getConnection(): Promise<PoolConnection>;
  /** Serves who is waiting, waits for what is checked out, and closes every connection. */
  end(): Promise<void>;
  /** `error`: a new version could not log in; the old one stays. Without a listener it is ignored. */
  on(event: 'error', listener: (error: Error) => void): SecretPool;
}

/**
 * A MySQL or MariaDB pool that takes up new versions of its secret while it serves: it proves the new login, swaps,
 * and closes the old connections once they are given back. The value is a `mysql://` URL or JSON (`host`, `port`,
 * `database`, `username`, `password`). Loads the secret at the first use.
 *
 * @example
 * const pool = createPool(secrets, 'orders-db', { connectionLimit: 10 });
 * const [rows] = await pool.execute('select id from orders where item = ?', ['tea']);
 */
export function createPool<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  options: SecretPoolOptions = {},
): SecretPool {
  const listeners = new Set<(error: Error) => void>();
  const pools = follow<Pool, Name>(secrets, name, {
    open(secret, told) {
      const pool = openPool({ ...options, ...mysqlLogin(secret) });
      pool.on('connection', () => told.authenticated());
      return pool;
    },
    async prove(pool) {
      const connection = await pool.getConnection();
      try {
        await connection.query('select 1');
      } finally {
        connection.release();
      }
    },
    close: (pool) => pool.end(),
    refused: isLoginRefusal,
    failed(error) {
      // Apart, so that a listener that throws is seen but stops no swap half-way.
      for (const listener of listeners) queueMicrotask(() => listener(error));
    },
    loginTimeoutMs: options.connectTimeout,
  });

  const secretPool: SecretPool = {
    query: ((...args: Parameters<Pool['query']>) =>
      pools.use((pool) => pool.query(...args))) as Pool['query'],
    execute: ((...args: Parameters<Pool['execute']>) =>
      pools.use((pool) => pool.execute(...args))) as Pool['execute'],
    getConnection: () =>
      new Promise((resolve, reject) => {
        // pool.end() would close connections under whoever has checked them out: so the use lasts until the release.
        pools
          .use(async (pool) => {
            const connection = await pool.getConnection();
            const released = givenBack(connection);
            resolve(connection);
            await released;
          })
          .catch(reject);
      }),
    end: () => pools.close(),
    on(_event, listener) {
      listeners.add(listener);
      return secretPool;
    },
  };
  return secretPool;
}

/** `end` is an old name of `release` here. */
function givenBack(connection: PoolConnection): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen =
    <Result>(way: () => Result) =>
    (): Result => {
      try {
        return way.call(connection);
      } finally {
        resolve();
      }
    };
  const { release, destroy, end } = connection;
  Object.assign(connection, { release: seen(release), destroy: seen(destroy), end: seen(end) });
  return promise;
}

/** Wrong password, or a user that is locked, gone, or has to change its password first. */
function isLoginRefusal(error: unknown): boolean {
  const { errno } = error as { errno?: unknown };
  return typeof errno === 'number' && refusals.has(errno);
}

// https://mariadb.com/docs/server/reference/error-codes and MySQL's: ER_ACCESS_DENIED_ERROR,
// ER_ACCESS_DENIED_NO_PASSWORD_ERROR, ER_MUST_CHANGE_PASSWORD, ER_MUST_CHANGE_PASSWORD_LOGIN, ER_ACCOUNT_HAS_BEEN_LOCKED
// (MySQL's number and MariaDB's).
const refusals: ReadonlySet<number> = new Set([1045, 1698, 1820, 1862, 3118, 4151]);
