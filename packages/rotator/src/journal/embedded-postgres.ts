import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { RotatorError } from '../rotator-error.ts';
import { freePort } from '../server/free-port.ts';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';

/** A PostgreSQL server on loopback that belongs to one data folder. */
export interface EmbeddedPostgres {
  readonly port: number;
  /** Connection URL of the superuser `postgres`, password included: for this machine only. */
  url(database?: string): string;
  /** Ends the server and waits until it is gone. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** A folder of its own, created if missing. As root it must be one that every user may traverse. */
  readonly dataFolder: string;
  /** Server settings, for example `{ fsync: 'off' }` for data that may be lost. */
  readonly settings?: Readonly<Record<string, string>>;
  /** True for a server that nobody is to adopt: it ends with this process, however that ends. */
  readonly endsWithProcess?: boolean;
}

const startTimeoutMs = 30_000;
const stopTimeoutMs = 10_000;

/**
 * Starts PostgreSQL from the server programs that npm installed, or adopts the one that already serves the
 * folder: a server outlives a rotator that was killed. A first start that is killed half-way leaves nothing
 * that the next one would trip over.
 *
 * @example
 * const server = await startEmbeddedPostgres({ dataFolder: '/var/lib/keyturn' });
 * const client = new pg.Client(server.url());
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataFolder, settings = {}, endsWithProcess = false } = options;
  await mkdir(dataFolder, { recursive: true, mode: 0o711 });
  const password = await superuserPassword(dataFolder);
  const cluster = join(dataFolder, 'postgres');
  const url = (port: number, database = 'postgres') =>
    `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;

  const running = await readPidFile(cluster);
  if (running && (await answers(url(running.port)))) return handle(running, url);

  const binaries = await findPostgresBinaries(dataFolder);
  await initialise({ cluster, dataFolder, password, binaries });
  const started = await start({ cluster, dataFolder, binaries, settings, url });
  const unwatch = endsWithProcess ? endWithThisProcess(started.pid) : () => undefined;
  const server = handle(started, url);
  return { ...server, stop: () => server.stop().finally(unwatch) };
}

interface Server {
  readonly pid: number;
  readonly port: number;
}

function handle(server: Server, url: (port: number, database?: string) => string): EmbeddedPostgres {
  return {
    port: server.port,
    url: (database) => url(server.port, database),
    stop: () => stop(server.pid),
  };
}

async function superuserPassword(dataFolder: string): Promise<string> {
  const file = join(dataFolder, 'password');
  const known = await readFile(file, 'utf8').catch(absentIsUndefined);
  if (known) return known;
  const password = randomBytes(24).toString('base64url');
  const beside = `${file}.${process.pid}`;
  await writeFile(beside, password, { mode: 0o600 });
  await rename(beside, file);
  return password;
}

/** initdb does not survive being killed, so it works beside the final place and is moved there when complete. */
async function initialise(at: {
  cluster: string;
  dataFolder: string;
  password: string;
  binaries: PostgresBinaries;
}): Promise<void> {
  const { cluster, dataFolder, password, binaries } = at;
  if (await readFile(join(cluster, 'PG_VERSION')).catch(absentIsUndefined)) return;
  const work = join(dataFolder, `initialising-${process.pid}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { mode: 0o700 });
  const passwordFile = join(work, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  const { uid, gid } = binaries.runAs;
  if (uid !== undefined && gid !== undefined) {
    await chown(work, uid, gid);
    await chown(passwordFile, uid, gid);
  }
  const made = join(work, 'cluster');
  const child = spawn(
    binaries.initdb,
    [
      `--pgdata=${made}`,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--no-locale',
    ],
    { ...binaries.runAs, cwd: work, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) {
    await rm(work, { recursive: true, force: true });
    throw new RotatorError(
      'JOURNAL',
      `The embedded PostgreSQL could not be initialised: ${lastLine(errors)}`,
      {
        hint: `See that ${dataFolder} is writable and has 100 MB free.`,
      },
    );
  }
  await rename(made, cluster);
  await rm(work, { recursive: true, force: true });
}

async function start(at: {
  cluster: string;
  dataFolder: string;
  binaries: PostgresBinaries;
  settings: Readonly<Record<string, string>>;
  url: (port: number) => string;
}): Promise<Server> {
  const port = await freePort();
  const logFile = join(at.dataFolder, 'postgres.log');
  const log = await open(logFile, 'a', 0o600);
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: '32MB',
    ...at.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // A session of its own: Ctrl-C in the terminal reaches Keyturn, which ends the server when it is ready to.
  const child = spawn(at.binaries.postgres, ['-D', at.cluster, '-p', String(port), ...flags], {
    ...at.binaries.runAs,
    cwd: at.cluster,
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  child.unref();
  await log.close();
  child.on('error', () => undefined); // then it has no process id
  const { pid } = child;
  const running = () => pid !== undefined && child.exitCode === null && child.signalCode === null;
  const deadline = Date.now() + startTimeoutMs;
  while (Date.now() < deadline && running()) {
    if (pid !== undefined && (await answers(at.url(port)))) return { pid, port };
    await sleep(25);
  }
  if (pid !== undefined && running()) signal(pid, 'SIGQUIT');
  const other = await otherServer(at, deadline);
  if (other) return other;
  const reason = lastLine(await readFile(logFile, 'utf8').catch(() => ''));
  throw new RotatorError('JOURNAL', `The embedded PostgreSQL did not start: ${reason}`, {
    hint: `Its log is ${logFile}.`,
  });
}

/** One that a killed process had only just started holds the folder already, and answers in a moment. */
async function otherServer(
  { cluster, url }: { cluster: string; url: (port: number) => string },
  deadline: number,
): Promise<Server | undefined> {
  while (Date.now() < deadline) {
    const server = await readPidFile(cluster);
    if (!server || !alive(server.pid)) return undefined;
    if (await answers(url(server.port))) return server;
    await sleep(25);
  }
  return undefined;
}

/** A small process waits at a pipe that closes with this one, be it by SIGKILL, and then ends the server. */
function endWithThisProcess(pid: number): () => void {
  const watcher = spawn('sh', ['-c', `cat >/dev/null; kill -INT ${pid}`], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.on('error', () => undefined); // no shell: then it ends as it always did, with stop()
  watcher.unref();
  return () => void watcher.kill('SIGKILL');
}

async function stop(pid: number): Promise<void> {
  const deadline = Date.now() + stopTimeoutMs;
  signal(pid, 'SIGINT'); // PostgreSQL's "fast shutdown": sessions are ended, data is written
  while (alive(pid)) {
    if (Date.now() > deadline) signal(pid, 'SIGQUIT');
    await sleep(20);
  }
}

function alive(pid: number): boolean {
  return signal(pid, 0);
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** postmaster.pid: the process id is its first line, the port its fourth. */
async function readPidFile(cluster: string): Promise<Server | undefined> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(absentIsUndefined);
  if (text === undefined) return undefined;
  const lines = text.split('\n');
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  return pid > 0 && port > 0 ? { pid, port } : undefined;
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function absentIsUndefined(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  throw error;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
