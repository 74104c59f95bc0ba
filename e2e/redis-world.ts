import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretClient } from '@azure/keyvault-secrets';
import { startEmulator, type Emulator } from '@keyturn/emulator';
import { freePort } from '@keyturn/rotator/free-port';
import { setupCommand } from '@keyturn/sources/redis';
import { createClient } from 'redis';
import { serverProgram } from '../packages/client/test/servers/server-program.ts';

const program = serverProgram('redis-server', 'redis-server');

export const hasRedis = program !== undefined;
export const secretName = 'orders-redis';
export const user = 'orders';

/** A real Redis whose user `orders` has one password, and a vault that holds it. */
export interface RedisWorld {
  readonly emulator: Emulator;
  readonly vault: SecretClient;
  readonly folder: string;
  readonly port: number;
  readonly rotatorUrl: string;
  readonly written: string[];
  /** Every value that a version ever had. */
  readonly values: Set<string>;
  /** Runs one command as the default user, who may do everything. */
  readonly run: (...words: readonly string[]) => Promise<unknown>;
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
  const [port, fleetPort] = [await freePort(), await freePort()];
  const redis = await startRedis(port, folder);
  const [application, rotator] = [password(), password()];
  await redis.run('ACL', 'SETUSER', user, 'on', `>${application}`, '~*', '&*', '+@all', '-@dangerous');
  await redis.run(...setupCommand('keyturn').split(' '), `>${rotator}`);
  const urlOf = (name: string, secret: string) => `redis://${name}:${secret}@127.0.0.1:${port}`;
  await vault.setSecret(secretName, urlOf(user, application));
  await vault.setSecret('orders-redis-rotator', urlOf('keyturn', rotator));
  const configuration = `vault: ${emulator.vaultUrl}
journal: { data: ${join(folder, 'journal')} }
fleet: { listen: "127.0.0.1:${fleetPort}", lease: 3s, heartbeat: 500ms }
secrets:
  ${secretName}:
    source:
      kind: redis
      host: 127.0.0.1
      port: ${port}
      user: ${user}
      admin: { secret: orders-redis-rotator }
    consumers:
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
    folder,
    port,
    rotatorUrl: `http://127.0.0.1:${fleetPort}`,
    written,
    values: new Set([application, rotator]),
    run: redis.run,
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

async function startRedis(port: number, folder: string) {
  const aclFile = join(folder, 'users.acl');
  await writeFile(aclFile, '');
  const settings = { port, bind: '127.0.0.1', dir: folder, aclfile: aclFile, save: '' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(program ?? '', args, { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const admin = createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: () => 20 } });
  admin.on('error', () => undefined); // until it listens
  await admin.connect();
  return {
    run: (...words: readonly string[]): Promise<unknown> => admin.sendCommand([...words]),
    async stop() {
      admin.destroy();
      child.kill('SIGTERM');
      await gone;
    },
  };
}

function password(): string {
  return randomBytes(18).toString('base64url');
}
