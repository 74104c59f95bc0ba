import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecretClient } from '@azure/keyvault-secrets';
import { freePort } from '@keyturn/rotator/free-port';
import { setupCommand } from '@keyturn/sources/redis';
import { createClient } from 'redis';
import { serverProgram } from '../packages/client/test/servers/server-program.ts';

const program = serverProgram('redis-server', 'redis-server');

export const hasRedis = program !== undefined;
export const secretName = 'orders-redis';
export const user = 'orders';

/** A real Redis whose user `orders` has one password, which the vault holds. */
export interface RedisSource {
  readonly port: number;
  readonly aclFile: string;
  /** The passwords that it began with. */
  readonly passwords: readonly string[];
  /** How it stands under `secrets:`, up to its consumers. */
  readonly configuration: string;
  /** Runs one command as the default user, who may do everything. */
  readonly run: (...words: readonly string[]) => Promise<unknown>;
  stop(): Promise<void>;
}

export async function startRedisSource(at: {
  readonly folder: string;
  readonly vault: SecretClient;
}): Promise<RedisSource> {
  const { folder, vault } = at;
  const port = await freePort();
  const aclFile = join(folder, 'users.acl');
  await writeFile(aclFile, '');
  const redis = await startRedis({ port, folder, aclFile });
  const [application, rotator] = [password(), password()];
  await redis.run(
    'ACL',
    'SETUSER',
    user,
    'on',
    `>${application}`,
    '~*',
    '&*',
    '+@all',
    '-@dangerous',
    '+info',
  );
  await redis.run(...setupCommand('keyturn').split(' '), `>${rotator}`);
  const urlOf = (name: string, secret: string) => `redis://${name}:${secret}@127.0.0.1:${port}`;
  await vault.setSecret(secretName, urlOf(user, application));
  await vault.setSecret('orders-redis-rotator', urlOf('keyturn', rotator));
  return {
    port,
    aclFile,
    passwords: [application, rotator],
    configuration: `  ${secretName}:
    source:
      kind: redis
      host: 127.0.0.1
      port: ${port}
      user: ${user}
      admin: { secret: orders-redis-rotator }
`,
    ...redis,
  };
}

async function startRedis(at: { readonly port: number; readonly folder: string; readonly aclFile: string }) {
  const { port, folder, aclFile } = at;
  const settings = { port, bind: '127.0.0.1', dir: folder, aclfile: aclFile, save: '' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(program ?? '', args, { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const end = () => void child.kill('SIGTERM');
  process.once('exit', end);
  const admin = createClient({ RESP: 3, socket: { host: '127.0.0.1', port, reconnectStrategy: () => 20 } });
  admin.on('error', () => undefined); // until it listens
  await admin.connect();
  return {
    run: (...words: readonly string[]): Promise<unknown> => admin.sendCommand([...words]),
    async stop() {
      admin.destroy();
      process.off('exit', end);
      end();
      await gone;
    },
  };
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What the source and the client tell passwords apart by, from the hash that the server keeps. */
export const fingerprintOf = (hash: string): string => sha256(`keyturn:${hash}`).slice(0, 12);

/** The connections of the application, as Redis sees them, oldest first. */
export async function connections({
  run,
}: RedisSource): Promise<readonly { readonly id: string; readonly name: string }[]> {
  const list = String(await run('CLIENT', 'LIST'));
  return list
    .split('\n')
    .filter((line) => line.includes(` user=${user} `))
    .map((line) => ({
      id: / ?id=(\d+)/.exec(line)?.[1] ?? '',
      name: / name=(\S*)/.exec(line)?.[1] ?? '',
    }))
    .toSorted((one, other) => Number(one.id) - Number(other.id));
}

/** Logs in, and connects never again by itself. */
export async function logIn(url: string, name: string) {
  const client = createClient({ url, name, socket: { reconnectStrategy: false } });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function password(): string {
  return randomBytes(18).toString('base64url');
}
