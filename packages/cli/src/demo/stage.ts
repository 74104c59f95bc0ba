import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretClient } from '@azure/keyvault-secrets';
import { startEmulator } from '@keyturn/emulator';
import { freePort } from '@keyturn/rotator/free-port';
import { startEmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import { setupStatements } from '@keyturn/sources/postgres';
import { Client } from 'pg';
import { stringify } from 'yaml';

/** How long the caches of the demo serve a version: seconds instead of minutes, so that one can watch. */
export const ttlMs = 5_000;
const clockSkewMs = 1_000;
const roles = ['orders_a', 'orders_b'] as const;

/** The servers on which the three ways are played, and what is on them. */
export interface Stage {
  readonly vaultUrl: string;
  readonly rotatorUrl: string;
  /** The configuration with which `keyturn rotate` rotates the third contender's secret. */
  readonly configFile: string;
  /** Where the servers and the rotation keep their files; gone when the stage is closed. */
  readonly folder: string;
  readonly vault: SecretClient;
  /** What a process needs to reach the vault with its managed identity. */
  readonly environment: Readonly<Record<string, string>>;
  /** The value of a secret, as it is now. */
  value(secret: string): Promise<string>;
  /** The usual way: the password of the one role is altered in place, then the vault is told. */
  rotateInPlace(role: string, secret: string): Promise<void>;
  /** Tries to log in; undefined if that worked, the SQLSTATE if it was refused. */
  logIn(url: string): Promise<string | undefined>;
  close(): Promise<void>;
}

export async function buildStage(): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-demo-'));
  await chmod(folder, 0o711); // started by root, PostgreSQL runs as another user
  const cleanUps = [() => rm(folder, { recursive: true, force: true })];
  try {
    return await build(folder, cleanUps);
  } catch (error) {
    await cleanUp(cleanUps);
    throw error;
  }
}

async function build(folder: string, cleanUps: (() => Promise<void>)[]): Promise<Stage> {
  const startServer = async (name: string) => {
    const server = await startEmbeddedPostgres({
      dataFolder: join(folder, name),
      settings: { fsync: 'off' },
      endsWithProcess: true,
    });
    cleanUps.push(() => server.stop());
    return server;
  };
  const [database, journal] = await Promise.all([startServer('orders'), startServer('journal')]);
  const emulator = await startEmulator({ vaults: [{ name: 'keyturn-demo' }] });
  cleanUps.push(() => emulator.close());

  const { port } = database;
  const urlOf = (role: string, password: string) => `postgres://${role}:${password}@127.0.0.1:${port}/orders`;
  const secrets = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
  const passwords = await createDatabase((name) => database.url(name));
  for (const [secret, role] of Object.entries(roleOf))
    await secrets.setSecret(secret, urlOf(role, passwords[role] ?? ''));
  await secrets.setSecret(journalSecret, journal.url());

  const fleetPort = await freePort();
  const configFile = join(folder, 'keyturn.yaml');
  await writeFile(configFile, stringify(configuration({ vault: emulator.vaultUrl, port, fleetPort })));

  return {
    vaultUrl: emulator.vaultUrl,
    rotatorUrl: `http://127.0.0.1:${fleetPort}`,
    configFile,
    folder,
    vault: secrets,
    environment: emulator.environment,
    value: async (secret) => (await secrets.getSecret(secret)).value ?? '',
    async rotateInPlace(role, secret) {
      const password = newPassword();
      await asSuperuser(database.url('orders'), [`alter role ${role} password '${password}'`]);
      await secrets.setSecret(secret, urlOf(role, password));
    },
    logIn,
    close: () => cleanUp(cleanUps),
  };
}

const journalSecret = 'keyturn-journal';
const roleOf = {
  'orders-db-env': 'orders_env',
  'orders-db-cache': 'orders_cache',
  'orders-db': roles[0],
  'orders-db-rotator': 'keyturn',
};

function configuration(at: { vault: string; port: number; fleetPort: number }): unknown {
  return {
    vault: at.vault,
    journal: { secret: journalSecret },
    fleet: { listen: `127.0.0.1:${at.fleetPort}` },
    secrets: {
      'orders-db': {
        source: {
          kind: 'postgres',
          host: '127.0.0.1',
          port: at.port,
          database: 'orders',
          owner: 'orders_owner',
          roles: [...roles],
          admin: { secret: 'orders-db-rotator' },
          probe: 'select id from orders limit 1',
        },
        consumers: { 'orders-api': { ttl: `${ttlMs}ms`, instances: 3 } },
        validity: '90d',
        clockSkew: `${clockSkewMs}ms`,
        poll: '250ms',
        deadline: '60s',
        requestTimeout: '5s',
      },
    },
  };
}

/** The database, its table, a role for each contender and one for the rotator, which is no superuser. */
async function createDatabase(url: (database?: string) => string): Promise<Record<string, string>> {
  const passwords = Object.fromEntries(Object.values(roleOf).map((role) => [role, newPassword()]));
  await asSuperuser(url(), ['create database orders']);
  await asSuperuser(url('orders'), [
    `create role orders_env login password '${passwords['orders_env']}'`,
    `create role orders_cache login password '${passwords['orders_cache']}'`,
    ...setupStatements({ owner: 'orders_owner', roles, rotator: 'keyturn', database: 'orders' }),
    `alter role ${roles[0]} login password '${passwords[roles[0]]}'`,
    `alter role keyturn login password '${passwords['keyturn']}'`,
    'create table orders (id int primary key, item text not null)',
    'alter table orders owner to orders_owner',
    "insert into orders select n, 'item ' || n from generate_series(1, 100) n",
    'grant select on orders to orders_env, orders_cache',
  ]);
  return passwords;
}

async function asSuperuser(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

async function logIn(url: string): Promise<string | undefined> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? 'no answer';
  } finally {
    await client.end().catch(() => undefined);
  }
}

function newPassword(): string {
  return randomBytes(18).toString('base64url');
}

async function cleanUp(cleanUps: (() => Promise<void>)[]): Promise<void> {
  for (const undo of cleanUps.splice(0).toReversed()) await undo();
}
