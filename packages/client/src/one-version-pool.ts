import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, type PoolClient, type PoolConfig } from 'pg';
import { postgresLogin } from './postgres-login.ts';
import type { Secret } from './secret.ts';
import type { Hold, Secrets } from './secrets.ts';
import { SecretsError } from './secrets-error.ts';

/** A pg.Pool whose connections all authenticate with one version of a secret. */
export interface OneVersionPool {
  readonly version: string;
  readonly pool: Pool;
  readonly hold: Hold;
  /** Logs in afresh and runs a query, within the pool's time-out for connections. The connection stays in the pool. */
  prove(): Promise<void>;
  /** Serves who is waiting, closes what is idle, waits for what is checked out; then gives up its hold. */
  drain(): Promise<void>;
}

const proofTimeoutMs = 10_000;
const lookAgainMs = 10;

export function openOneVersionPool(at: {
  readonly secrets: Secrets;
  readonly secret: Secret;
  readonly config: PoolConfig;
  readonly failed: (error: Error) => void;
}): OneVersionPool {
  const { secrets, secret, config, failed } = at;
  const pool = new Pool({ ...config, ...postgresLogin(secret) });
  const hold = secrets.hold(secret.name, secret.version);
  const open = new Set<PoolClient>();

  pool.on('connect', (client) => {
    open.add(client);
    // A session that the server ends while it is checked out fails its next query; unheard, it would end the process.
    client.on('error', () => {});
    hold.authenticated();
  });
  pool.on('remove', (client) => open.delete(client));
  pool.on('error', failed);

  return {
    version: secret.version,
    pool,
    hold,
    async prove() {
      let client: PoolClient | undefined;
      let late = false;
      const logIn = async (): Promise<void> => {
        client = await pool.connect();
        if (late) client.release(true);
        else await client.query('select 1');
      };
      const proof = logIn();
      try {
        await Promise.race([proof, tooLong(secret, config.connectionTimeoutMillis || proofTimeoutMs)]);
        client?.release();
      } catch (error) {
        late = true;
        proof.catch(() => {});
        client?.release(true);
        throw error;
      }
    },
    async drain() {
      // pool.end() would leave waiters hanging for ever, and resolves before the last sockets are closed.
      while (pool.waitingCount > 0) await sleep(lookAgainMs);
      await pool.end();
      while (open.size > 0) await sleep(lookAgainMs);
      hold.release();
    },
  };
}

async function tooLong(secret: Secret, timeoutMs: number): Promise<never> {
  await sleep(timeoutMs, undefined, { ref: false });
  throw new SecretsError(
    'LOGIN_TIMEOUT',
    `No answer to a login with ${secret.toString()} within ${timeoutMs} ms.`,
  );
}
