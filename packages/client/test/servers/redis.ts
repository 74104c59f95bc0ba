import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';
import { serverProgram } from './server-program.ts';

const program = serverProgram('redis-server', 'redis-server');

export const hasRedis = program !== undefined;

export interface RedisServer {
  readonly port: number;
  /** Signed in as the default user, who may do everything. */
  readonly admin: Redis;
  /** The connections that the server sees, as its `CLIENT LIST` tells them. */
  clients(): Promise<readonly Readonly<Record<string, string>>[]>;
  stop(): Promise<void>;
}

export async function startRedis(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'redis-'));
  const port = await freePort();
  const flags = { port: String(port), bind: '127.0.0.1', dir: folder, save: '', appendonly: 'no' };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn(program ?? '', args, { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const admin = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 20 });
  admin.on('error', () => {}); // until it listens
  await admin.ping();
  return {
    port,
    admin,
    async clients() {
      const list = String(await admin.client('LIST'));
      const lines = list.trim().split('\n');
      return lines.map((line) => Object.fromEntries(line.split(' ').map((field) => field.split('='))));
    },
    async stop() {
      admin.disconnect();
      child.kill('SIGTERM');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
