import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretClient } from '@azure/keyvault-secrets';
import { startEmulator, type Emulator } from '@keyturn/emulator';
import type { SecretPolicy } from '@keyturn/rotator';
import { startEmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import { freePort } from '@keyturn/rotator/free-port';
import { setupStatements } from '@keyturn/sources/postgres';
import { Client } from 'pg';
import type { RotatorOrders } from './kill/protocol.ts';

/** The secret that is rotated over and over. */
export const secretName = 'orders-db';
export const roles = ['orders_a', 'orders_b'] as const;

/** Real servers, shared by all rounds: the source, the journal's database and the vault. */
export interface World {
  readonly emulator: Emulator;
  readonly vault: SecretClient;
  /** Superuser URLs, for looking only. */
  readonly sourceUrl: string;
  readonly journalUrl: string;
  readonly rotatorUrl: string;
  /** A folder for whatever a test needs; gone with the world. */
  readonly folder: string;
  /** Ends the source, as an outage would. */
  stopSource(): Promise<void>;
  /** All that the source has logged, the logins it refused among it. */
  sourceLog(): Promise<string>;
  readonly orders: Omit<RotatorOrders, 'resumes'>;
  /** Every value that a version or a child process ever had. */
  readonly values: Set<string>;
  /** Everything that the rotators and the vault wrote. */
  readonly written: string[];
  close(): Promise<void>;
}

export const policy: SecretPolicy = {
  secret: secretName,
  consumers: [{ name: 'orders-api', ttlMs: 200, instances: 2, reports: true }],
  validityMs: 90 * 86_400_000,
  clockSkewMs: 0,
  deadlineMs: 60_000,
  pollMs: 50,
  requestTimeoutMs: 700,
  retryForMs: 20_000,
};

export async function buildWorld(): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-e2e-'));
  await chmod(folder, 0o711); // started by root, PostgreSQL runs as another user
  const written: string[] = [];
  const lost = { settings: { fsync: 'off' }, endsWithProcess: true };
  const source = await startEmbeddedPostgres({ dataFolder: join(folder, 'source'), ...lost });
  const journal = await startEmbeddedPostgres({ dataFolder: join(folder, 'journal'), ...lost });
  const emulator = await startEmulator({
    vaults: [{ name: 'kill' }],
    log: (entry) => written.push(JSON.stringify(entry)),
  });
  const vault = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
  const values = await prepare({ source, journalUrl: journal.url(), vault });
  const fleetPort = await freePort();
  return {
    emulator,
    vault,
    sourceUrl: source.url('orders'),
    journalUrl: journal.url(),
    folder,
    stopSource: () => source.stop(),
    sourceLog: () => readFile(join(folder, 'source', 'postgres.log'), 'utf8'),
    rotatorUrl: `http://127.0.0.1:${fleetPort}`,
    orders: {
      vaultUrl: emulator.vaultUrl,
      journalUrl: journal.url(),
      fleetPort,
      requestTimeoutMs: policy.requestTimeoutMs,
      policy,
      source: {
        host: '127.0.0.1',
        port: source.port,
        database: 'orders',
        owner: 'orders_owner',
        roles,
        adminSecret: 'orders-db-rotator',
      },
    },
    values,
    written,
    async close() {
      await emulator.close();
      await source.stop();
      await journal.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function prepare(at: {
  source: { port: number; url(database?: string): string };
  journalUrl: string;
  vault: SecretClient;
}): Promise<Set<string>> {
  const { source, journalUrl, vault } = at;
  const [application, rotator] = [password(), password()];
  const urlOf = (role: string, secret: string) =>
    `postgres://${role}:${secret}@127.0.0.1:${source.port}/orders`;
  await run(source.url(), ['create database orders']);
  await run(source.url('orders'), [
    ...setupStatements({ owner: 'orders_owner', roles, rotator: 'keyturn', database: 'orders' }),
    `alter role ${roles[0]} login password '${application}'`,
    `alter role keyturn login password '${rotator}'`,
    'create table orders (id int primary key)',
    'alter table orders owner to orders_owner',
    'insert into orders values (1)',
  ]);
  await vault.setSecret(secretName, urlOf(roles[0], application));
  await vault.setSecret('orders-db-rotator', urlOf('keyturn', rotator));
  await vault.setSecret('keyturn-journal', journalUrl);
  return new Set([application, rotator, new URL(journalUrl).password]);
}

export async function run(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

function password(): string {
  return randomBytes(18).toString('base64url');
}
