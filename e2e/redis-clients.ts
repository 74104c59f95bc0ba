import { setTimeout as sleep } from 'node:timers/promises';
import type { SecretClient } from '@azure/keyvault-secrets';
import { openSecrets } from '@keyturn/client';
import { openRedis as openWithIoredis } from '@keyturn/client/ioredis';
import { openRedis as openWithNodeRedis } from '@keyturn/client/redis';
import type { LiveClient } from './kill/clients.ts';
import { secretName } from './redis-source.ts';

const open = { redis: openWithNodeRedis, ioredis: openWithIoredis };

/** An instance of the application, with commands on two connections and hardly a pause between them. */
export async function startRedisClient(at: {
  readonly vault: SecretClient;
  readonly url: string;
  readonly driver: keyof typeof open;
  readonly pauseMs?: number;
}): Promise<LiveClient> {
  const { vault, url, driver, pauseMs = 1 } = at;
  const secrets = openSecrets({
    vault,
    ttlMs: 200,
    rotator: { url, consumer: 'orders-api', instance: driver, reconnectMaxMs: 200, reportEveryMs: 500 },
  });
  const redis = await open[driver](secrets, secretName, { nameConnections: 'orders-api' });
  const clients = [redis.client, await redis.duplicate()];
  let failures: string[] = [];
  let served = 0;
  let stopped = false;
  const loops = clients.map(async (client) => {
    while (!stopped) {
      await client.incr('n').then(
        () => (served += 1),
        (error: unknown) => failures.push(`${driver}: ${String(error)}`),
      );
      await sleep(pauseMs);
    }
  });
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
      await Promise.all(loops);
      await redis.close();
      await secrets.close();
    },
  };
}
