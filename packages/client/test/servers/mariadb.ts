import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection, type Connection } from 'mysql2/promise';
import { freePort } from './free-port.ts';
import { serverProgram } from './server-program.ts';

const server = serverProgram('mariadbd', 'mariadb-server');
const installer = serverProgram('mariadb-install-db', 'mariadb-server');

export const hasMariaDb = server !== undefined && installer !== undefined;

export interface MariaDb {
  readonly port: number;
  readonly admin: Connection;
  stop(): Promise<void>;
}

/** A MariaDB of its own on loopback; its administrator comes through a socket in its folder. */
export async function startMariaDb(): Promise<MariaDb> {
  const folder = await mkdtemp(join(tmpdir(), 'mariadb-'));
  const socketPath = join(folder, 'socket');
  const common = ['--no-defaults', `--datadir=${join(folder, 'data')}`, `--user=${userInfo().username}`];
  await promisify(execFile)(installer ?? '', [
    ...common,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]);
  const port = await freePort();
  const child = spawn(
    server ?? '',
    [
      ...common,
      `--socket=${socketPath}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
    ],
    { stdio: 'ignore' },
  );
  const gone = once(child, 'exit');
  const admin = await connected(socketPath, gone);
  return {
    port,
    admin,
    async stop() {
      await admin.end();
      child.kill('SIGTERM');
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function connected(socketPath: string, gone: Promise<unknown>): Promise<Connection> {
  let ended = false;
  void gone.then(() => (ended = true));
  for (;;) {
    try {
      return await createConnection({ socketPath, user: 'root', multipleStatements: true });
    } catch (error) {
      if (ended) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
