import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RotatorError } from '../rotator-error.ts';
import { freePort } from '../server/free-port.ts';
import { readIfThere, type DataFolder } from './data-folder.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';

/** A server process that has said where it listens; it may not answer yet, or not any more. */
export interface ServerProcess {
  readonly pid: number;
  readonly port: number;
}

const stopTimeoutMs = 10_000;

/** The one that the folder says is serving it. postmaster.pid: the process id is its first line, the port its fourth. */
export async function findServer({ cluster }: DataFolder): Promise<ServerProcess | undefined> {
  const lines = (await readIfThere(join(cluster, 'postmaster.pid')))?.split('\n');
  const [pid, port] = [Number(lines?.[0]), Number(lines?.[3])];
  return pid > 0 && port > 0 && isAlive({ pid }) ? { pid, port } : undefined;
}

/** A server that is starting. */
export interface Starting extends ServerProcess {
  hasEnded(): boolean;
}

export async function launchServer(
  folder: DataFolder,
  binaries: PostgresBinaries,
  settings: Readonly<Record<string, string>>,
): Promise<Starting> {
  const port = await freePort();
  const log = await open(folder.logFile, 'a', 0o600);
  const flags = Object.entries({
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: '32MB',
    ...settings,
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // A session of its own: Ctrl-C in the terminal reaches Keyturn, which ends the server when it is ready to.
  const child = spawn(binaries.postgres, ['-D', folder.cluster, '-p', String(port), ...flags], {
    ...binaries.runAs,
    cwd: folder.cluster,
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  child.unref();
  await log.close();
  child.on('error', () => undefined); // then it has no process id
  if (child.pid === undefined) throw await notStarted(folder);
  return { pid: child.pid, port, hasEnded: () => child.exitCode !== null || child.signalCode !== null };
}

export async function notStarted({ logFile }: DataFolder): Promise<RotatorError> {
  const reason = (await readIfThere(logFile))?.trim().split('\n').at(-1) ?? 'it can not be run';
  return new RotatorError('JOURNAL', `The embedded PostgreSQL did not start: ${reason}`, {
    hint: `Its log is ${logFile}.`,
  });
}

/** Ends a server in PostgreSQL's fast way: sessions are ended, data is written. */
export async function stopServer({ pid }: ServerProcess): Promise<void> {
  const deadline = Date.now() + stopTimeoutMs;
  signal(pid, 'SIGINT');
  while (isAlive({ pid })) {
    if (Date.now() > deadline) killServer({ pid });
    await sleep(20);
  }
}

/** Ends a server at once; its next start recovers what it had written. */
export function killServer({ pid }: Pick<ServerProcess, 'pid'>): void {
  signal(pid, 'SIGQUIT');
}

/**
 * A small process waits at a pipe that closes with this one, be it by SIGKILL, and then ends the server. Returns
 * the way to call that off.
 */
export function endWithThisProcess({ pid }: ServerProcess): () => void {
  const watcher = spawn('sh', ['-c', `cat >/dev/null; kill -INT ${pid}`], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.on('error', () => undefined); // no shell: then it ends as it always did, with stop()
  watcher.unref();
  return () => void watcher.kill('SIGKILL');
}

export function isAlive({ pid }: Pick<ServerProcess, 'pid'>): boolean {
  return signal(pid, 0);
}

/** False if there is no such server: a process of another user has only got the number of one that is gone. */
function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH' || code === 'EPERM') return false;
    throw error;
  }
}
