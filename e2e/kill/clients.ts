import { setTimeout as sleep } from 'node:timers/promises';
import { openSecrets } from '@keyturn/client';
import { createPool } from '@keyturn/client/pg';
import { secretName, policy, type World } from '../world.ts';

/** A live application with a pool that logs in for every request. */
export interface LiveClient {
  /** Requests that failed since the last call. */
  takeFailures(): string[];
  served(): number;
  /** The version that it logs in with. */
  version(): string | undefined;
  close(): Promise<void>;
}

export async function startClient(
  world: World,
  instance: string,
  {
    url = world.rotatorUrl,
    ttlMs,
    pauseMs = 50,
  }: { readonly url?: string; readonly ttlMs?: number; readonly pauseMs?: number } = {},
): Promise<LiveClient> {
  const consumer = policy.consumers[0];
  const secrets = openSecrets({
    vault: world.vault,
    ttlMs: ttlMs ?? consumer?.ttlMs ?? 0,
    rotator: {
      url,
      consumer: consumer?.name ?? '',
      instance,
      reconnectMaxMs: 200,
      reportEveryMs: 500,
    },
  });
  const pool = createPool(secrets, secretName, { max: 2, maxUses: 1, application_name: instance });
  let failures: string[] = [];
  let served = 0;
  let stopped = false;
  await pool.query('select 1');
  const loop = (async () => {
    while (!stopped) {
      try {
        await pool.query('select id from orders');
        served += 1;
      } catch (error) {
        const { code, message } = error as { code?: string; message?: string };
        failures.push(`${instance}: ${code ?? ''} ${message ?? ''}`);
      }
      await sleep(pauseMs);
    }
  })();
  return {
    takeFailures() {
      const taken = failures;
      failures = [];
      return taken;
    },
    served: () => served,
    version: () => secrets.health().secrets[0]?.version,
    async close() {
      stopped = true;
      await loop;
      await pool.end();
      await secrets.close();
    },
  };
}
