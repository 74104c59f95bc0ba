import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretClient } from '@azure/keyvault-secrets';
import { startEmulator, type Emulator } from '@keyturn/emulator';
import { freePort } from '@keyturn/rotator/free-port';
import { startRedisSource, type RedisSource } from './redis-source.ts';

/** A real Redis and a vault that holds a password of it. */
export interface RedisWorld {
  readonly emulator: Emulator;
  readonly vault: SecretClient;
  readonly redis: RedisSource;
  readonly rotatorUrl: string;
  readonly written: string[];
  /** Every password that a version ever had. */
  readonly values: Set<string>;
  /** Writes the configuration; `change` edits its text. */
  readonly configure: (change?: (text: string) => string) => Promise<string>;
  close(): Promise<void>;
}

export async function buildRedisWorld(): Promise<RedisWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-e2e-redis-'));
  await chmod(folder, 0o711); // started by root, PostgreSQL runs as another user
  const written: string[] = [];
  const emulator = await startEmulator({
    vaults: [{ name: 'redis' }],
    log: (entry) => written.push(JSON.stringify(entry)),
  });
  const vault = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
  const fleetPort = await freePort();
  const redis = await startRedisSource({ folder, vault });
  const configuration = `vault: ${emulator.vaultUrl}
journal: { data: ${join(folder, 'journal')} }
fleet: { listen: "127.0.0.1:${fleetPort}", lease: 3s, heartbeat: 500ms }
secrets:
${redis.configuration}    consumers:
      orders-api: { ttl: 300ms, instances: 2 }
    clockSkew: 0s
    poll: 50ms
    requestTimeout: 2s
    retryFor: 3s
    deadline: 60s
`;
  return {
    emulator,
    vault,
    redis,
    rotatorUrl: `http://127.0.0.1:${fleetPort}`,
    written,
    values: new Set(redis.passwords),
    async configure(change = (text) => text) {
      const file = join(folder, 'keyturn.yaml');
      await writeFile(file, change(configuration));
      return file;
    },
    async close() {
      await emulator.close();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
