import {
  Pool,
  type PoolClient,
  type PoolConfig,
  type QueryConfig,
  type QueryResult,
  type QueryResultRow,
} from 'pg';
import { follow, type Told } from '../follow.ts';
import type { Secrets } from '../secrets.ts';
import { postgresLogin } from './postgres-login.ts';

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

/** A pg.Pool whose connections all authenticate with one version of a secret. */
interface OneVersion {
  readonly pool: Pool;
  /** Its connections, those that are just being closed included. */
  readonly connections: Set<PoolClient>;
  /** Resolves with the last of them. */
  readonly gone: () => Promise<void>;
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
export function createPool<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  config: SecretPoolConfig = {},
): SecretPool {
  const listeners = new Set<(error: Error) => void>();
  const failed = (error: Error): void => {
    // Apart, so that a listener that throws is seen but stops no swap half-way.
    for (const listener of listeners) queueMicrotask(() => listener(error));
  };

  const pools = follow<OneVersion, Name>(secrets, name, {
    open: (secret, told) => openOneVersion(new Pool({ ...config, ...postgresLogin(secret) }), told, failed),
    async prove({ pool }) {
      const client = await pool.connect();
      // Its connection stays in the pool.
      await client.query('select 1').then(
        () => client.release(),
        (error: Error) => {
          client.release(error);
          throw error;
        },
      );
    },
    async close({ pool, gone }) {
      await pool.end(); // resolves before the last sockets are closed
      await gone();
    },
    refused: isLoginRefusal,
    failed,
    loginTimeoutMs: config.connectionTimeoutMillis || undefined,
  });

  // The action ends as soon as the client is there: from then on the pool itself waits for its release.
  const connect = (): Promise<PoolClient> => pools.use(({ pool }) => pool.connect());
  const sum = (count: 'totalCount' | 'idleCount' | 'waitingCount'): number =>
    pools.open.reduce((total, { pool }) => total + pool[count], 0);

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
    end: () => pools.close(),
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

function openOneVersion(pool: Pool, told: Told, failed: (error: Error) => void): OneVersion {
  const connections = new Set<PoolClient>();
  let lastGone = (): void => {};
  pool.on('connect', (client) => {
    connections.add(client);
    // A session that the server ends while it is checked out fails its next query; unheard, it would end the process.
    client.on('error', () => {});
    told.authenticated();
  });
  pool.on('remove', (client) => {
    connections.delete(client);
    if (connections.size === 0) lastGone();
  });
  pool.on('error', failed);
  return {
    pool,
    connections,
    async gone() {
      if (connections.size > 0) await new Promise<void>((resolve) => (lastGone = resolve));
    },
  };
}

/** PostgreSQL said no to a login: wrong password, or a role that may not log in or is gone. */
function isLoginRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === '28P01' || code === '28000';
}
