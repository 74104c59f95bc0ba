import { setTimeout as sleep } from 'node:timers/promises';
import { RotatorError } from '../rotator-error.ts';
import { initialise } from './cluster.ts';
import { openDataFolder, type DataFolder } from './data-folder.ts';
import { findPostgresBinaries } from './postgres-binaries.ts';
import { enter, type Presence } from './server-presence.ts';
import {
  endWithThisProcess,
  findServer,
  isAlive,
  killServer,
  launchServer,
  notStarted,
  stopServer,
  type ServerProcess,
} from './server-process.ts';

/** A PostgreSQL server on loopback that belongs to one data folder. */
export interface EmbeddedPostgres {
  readonly port: number;
  /** Connection URL of the superuser `postgres`, password included: for this machine only. */
  url(database?: string): string;
  /**
   * Ends the server and waits until it is gone, unless another process has adopted it: the last one ends it,
   * whoever started it.
   */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** A folder of its own, created if missing. As root it must be one that every user may traverse. */
  readonly dataFolder: string;
  /** Server settings, for example `{ fsync: 'off' }` for data that may be lost. */
  readonly settings?: Readonly<Record<string, string>>;
  /** True for a server that nobody is to adopt: if this process is killed, it ends, whoever else uses it. */
  readonly endsWithProcess?: boolean;
}

const startTimeoutMs = 30_000;

/**
 * Starts PostgreSQL from the server programs that npm installed, or adopts the one that already serves the
 * folder: a server outlives a rotator that was killed, and ends with the next one that is alone with it. A first
 * start that is killed half-way leaves nothing that the next one would trip over.
 *
 * @example
 * const server = await startEmbeddedPostgres({ dataFolder: '/var/lib/keyturn' });
 * const client = new pg.Client(server.url());
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataFolder, settings = {}, endsWithProcess = false } = options;
  try {
    const folder = await openDataFolder(dataFolder);
    const running = await findServer(folder);
    const adopted = running && (await enterServer(folder, running));
    if (adopted) return handle(folder, adopted);
    const started = await start(folder, settings);
    return handle(folder, started, endsWithProcess ? endWithThisProcess(started) : undefined);
  } catch (error) {
    throw unusable(dataFolder, error);
  }
}

/** A server that this process is a user of. */
interface Entered extends ServerProcess {
  readonly presence: Presence;
}

function handle(
  folder: DataFolder,
  server: Entered,
  unwatch: () => void = () => undefined,
): EmbeddedPostgres {
  return {
    port: server.port,
    url: (database) => urlOf(folder, server, database),
    async stop() {
      if (await server.presence.leave()) await stopServer(server);
      unwatch();
    },
  };
}

function urlOf({ password }: DataFolder, { port }: ServerProcess, database = 'postgres'): string {
  return `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;
}

async function start(folder: DataFolder, settings: Readonly<Record<string, string>>): Promise<Entered> {
  const binaries = await findPostgresBinaries(folder.path);
  await initialise(folder, binaries);
  const deadline = Date.now() + startTimeoutMs;
  for (;;) {
    // One that its last user is just ending holds the folder, or one that a killed process had only just started.
    const other = await findServer(folder);
    const adopted = other && (await enterUnless(() => !isAlive(other), folder, other, deadline));
    if (adopted) return adopted;
    if (other && isAlive(other)) throw await notStarted(folder);

    const server = await launchServer(folder, binaries, settings);
    const started = await enterUnless(() => server.hasEnded(), folder, server, deadline);
    if (started) return started;
    if (!server.hasEnded()) killServer(server);
    // Somebody else may have started one at the same moment.
    if (!(await findServer(folder))) throw await notStarted(folder);
  }
}

/** Becomes a user of a server as soon as it answers. */
async function enterUnless(
  over: () => boolean,
  folder: DataFolder,
  server: ServerProcess,
  deadline: number,
): Promise<Entered | undefined> {
  while (Date.now() < deadline && !over()) {
    const entered = await enterServer(folder, server);
    if (entered) return entered;
    await sleep(25);
  }
  return undefined;
}

async function enterServer(folder: DataFolder, server: ServerProcess): Promise<Entered | undefined> {
  const presence = await enter(urlOf(folder, server));
  return presence && { ...server, presence };
}

function unusable(dataFolder: string, error: unknown): RotatorError {
  if (error instanceof RotatorError) return error;
  const { code, name } = error as NodeJS.ErrnoException;
  return new RotatorError('JOURNAL', `The data folder ${dataFolder} can't be used (${code ?? name}).`, {
    cause: error,
    hint: 'Set journal.data to a folder of its own that this user may create and write to.',
  });
}
