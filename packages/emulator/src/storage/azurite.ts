import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { EmulatorError } from '../emulator-error.ts';

/** A blob service, the real Azurite, in this very process. */
export interface Azurite {
  /** Plain http on 127.0.0.1. The blobs of an account are at `http://127.0.0.1:PORT/ACCOUNT`. */
  readonly port: number;
  /** Serves a request for `https://ACCOUNT.blob.core.windows.net` that came in elsewhere. */
  readonly serve: RequestListener;
  /** Cuts every connection and frees the port. */
  close(): Promise<void>;
}

/** The base64 keys that an account accepts at this moment, or nothing when there is no such account. */
export type KeysOf = (account: string) => readonly string[] | undefined;

/**
 * Starts Azurite's blob service. It asks `keysOf` at every request, so that an old key is refused at once. Blobs
 * live in memory, or in the folder; there Azurite itself writes them down every five seconds and when it closes.
 *
 * @throws EmulatorError `AZURITE_MISSING` when the optional package isn't installed.
 */
export async function startAzurite(options: {
  readonly keysOf: KeysOf;
  readonly dataFolder?: string;
}): Promise<Azurite> {
  const { BlobServer, configuration } = load(options.dataFolder);
  const server = new BlobServer(configuration);
  const { accountDataStore, httpServer } = server;
  if (accountDataStore?.getAccount === undefined || httpServer === undefined) throw unknownAzurite();
  // Azurite would read accounts from the environment, where every child process could read them, too.
  accountDataStore.getAccount = (name) => {
    const [key1, key2] = options.keysOf(name)?.map((key) => Buffer.from(key, 'base64')) ?? [];
    return key1 === undefined ? undefined : { name, key1, key2 };
  };
  try {
    await server.start();
  } catch (cause) {
    throw new EmulatorError('LISTEN_FAILED', 'Azurite did not start on 127.0.0.1.', { cause });
  }
  const [serve] = httpServer.listeners('request').slice(-1) as RequestListener[];
  if (serve === undefined) throw unknownAzurite();

  return {
    port: (httpServer.address() as AddressInfo).port,
    serve,
    async close() {
      const closed = once(httpServer, 'close');
      await server.close();
      // It stops listening a turn later, and would wait for clients that keep their connections.
      await new Promise((resolve) => setImmediate(resolve));
      httpServer.closeAllConnections();
      await closed;
    },
  };
}

// What is used of Azurite, which is made as a command and has no interface for programs.

interface BlobServer {
  readonly httpServer?: Server;
  readonly accountDataStore?: {
    getAccount?: (name: string) => { name: string; key1: Buffer; key2: Buffer | undefined } | undefined;
  };
  start(): Promise<void>;
  close(): Promise<void>;
}

interface AzuriteModules {
  readonly BlobServer: new (configuration: object) => BlobServer;
  readonly configuration: object;
}

const install = 'npm install --save-dev azurite';

function load(dataFolder: string | undefined): AzuriteModules {
  const require = createRequire(import.meta.url);
  const read = (name: string): unknown => require(`azurite/dist/src/${name}`);
  let blobServerPath: string;
  try {
    blobServerPath = require.resolve('azurite/dist/src/blob/BlobServer');
  } catch (cause) {
    throw new EmulatorError('AZURITE_MISSING', `Storage accounts need Azurite. Install it: ${install}`, {
      cause,
    });
  }
  const { BlobServer, BlobConfiguration, MemoryExtentChunkStore } = withoutTelemetry(blobServerPath, () => ({
    BlobServer: (read('blob/BlobServer') as { default: AzuriteModules['BlobServer'] }).default,
    BlobConfiguration: (read('blob/BlobConfiguration') as { default: new (...list: unknown[]) => object })
      .default,
    ...(read('common/persistence/MemoryExtentStore') as {
      MemoryExtentChunkStore: new (limitBytes: number) => object;
    }),
  }));
  // A store of its own: the one it takes otherwise is shared by all in the process, and outlives them.
  const memory = new MemoryExtentChunkStore(memoryLimitBytes);
  const folder = dataFolder === undefined ? '' : join(dataFolder, 'azurite');
  if (dataFolder !== undefined) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const configuration = Object.assign(new BlobConfiguration('127.0.0.1', 0), {
    metadataDBPath: join(folder, 'blobs.json'),
    extentDBPath: join(folder, 'extents.json'),
    persistencePathArray: [
      { locationId: 'Default', locationPath: join(folder, 'extents'), maxConcurrency: 50 },
    ],
    enableAccessLog: false,
    skipApiVersionCheck: true, // client libraries are ahead of it most of the time
    isMemoryPersistence: dataFolder === undefined,
    memoryStore: memory,
  });
  return { BlobServer, configuration };
}

const memoryLimitBytes = 1024 ** 3;

/**
 * Azurite's telemetry is off unless its own command turns it on, but loading what it is sent with takes seconds
 * and registers itself in the process. An empty stand-in takes its place meanwhile.
 */
function withoutTelemetry<T>(parentPath: string, action: () => T): T {
  const require = createRequire(parentPath);
  let path: string;
  try {
    path = require.resolve('applicationinsights');
  } catch {
    return action();
  }
  if (require.cache[path] !== undefined) return action();
  const standIn = { id: path, filename: path, path, loaded: true, exports: {}, children: [], paths: [] };
  require.cache[path] = standIn as unknown as NodeJS.Module;
  try {
    return action();
  } finally {
    delete require.cache[path];
  }
}

const unknownAzurite = (): EmulatorError =>
  new EmulatorError(
    'AZURITE_MISSING',
    `This version of Azurite is not known here. Install another one: ${install}@3`,
  );
