import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@keyturn/rotator/free-port';
import { createClient } from 'redis';
import { serverProgram } from '../../client/test/servers/server-program.ts';

const program = serverProgram('redis-server', 'redis-server');

export const hasRedis = program !== undefined;

/** Where a server keeps its ACL users over a restart. */
export type Keeps = 'aclfile' | 'config file' | 'nothing';

/** A real server. */
export interface RedisServer {
  readonly port: number;
  readonly folder: string;
  /** Runs one command as the default user, who may do everything. */
  readonly run: (...words: readonly string[]) => Promise<unknown>;
  /** Every command that the server got since the last call, as its log of slow commands has them. */
  readonly commandsSeen: () => Promise<string>;
  /** Ends it without a goodbye, and starts it again unless told otherwise. */
  readonly crash: (then?: 'stay away') => Promise<void>;
  readonly stop: () => Promise<void>;
}

export async function startRedis(keeps: Keeps = 'aclfile'): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-redis-'));
  const port = await freePort();
  if (keeps === 'aclfile') await writeFile(join(folder, 'users.acl'), '');
  const settings = {
    port,
    bind: '127.0.0.1',
    dir: folder,
    'slowlog-log-slower-than': 0,
    'slowlog-max-len': 5000,
  };
  const file = join(folder, 'redis.conf');
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}`);
  const acl = keeps === 'aclfile' ? [`aclfile ${join(folder, 'users.acl')}`] : [];
  await writeFile(file, [...lines, 'save ""', ...acl, ''].join('\n'));
  const args =
    keeps === 'nothing'
      ? Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
      : [file];

  let running = await launch(args, port);
  return {
    port,
    folder,
    run: (...words) => running.run(words),
    async commandsSeen() {
      const log = await running.run(['SLOWLOG', 'GET', '-1']);
      await running.run(['SLOWLOG', 'RESET']);
      return JSON.stringify(log);
    },
    async crash(then) {
      await running.end('SIGKILL');
      if (then !== 'stay away') running = await launch(args, port);
    },
    async stop() {
      await running.end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Running {
  readonly run: (words: readonly string[]) => Promise<unknown>;
  readonly end: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>;
}

async function launch(args: readonly string[], port: number): Promise<Running> {
  const child = spawn(program ?? '', [...args, '--save', ''], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const admin = createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: () => 20 } });
  admin.on('error', () => undefined); // until it listens
  await admin.connect();
  return {
    run: (words) => admin.sendCommand([...words]),
    async end(signal) {
      if (admin.isOpen) admin.destroy();
      child.kill(signal);
      if (child.exitCode === null && child.signalCode === null) await gone;
    },
  };
}

export const aclFileOf = ({ folder }: RedisServer): Promise<string> =>
  readFile(join(folder, 'users.acl'), 'utf8');
