/** What the examples run on in their tests: a real PostgreSQL, a local Key Vault, and a rotation by hand. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretClient } from '@azure/keyvault-secrets';
import { startEmulator, type Emulator } from '@keyturn/emulator';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import { Client } from 'pg';
import { vi } from 'vitest';

export interface Stage extends AsyncDisposable {
  /** The environment of a process that is to find the vault. */
  readonly environment: Readonly<Record<string, string>>;
  /** What the vault's current version of `orders-db` logs in with. */
  readonly current: Login;
  /** From here on whoever reads the orders waits, and then whoever wants a connection: until it is released. */
  holdOrders(): Promise<{ release(): Promise<void> }>;
  /** Sessions that wait for them. */
  waitingForOrders(): Promise<number>;
  /** Sessions that logged in as a role, as the server sees them. */
  sessionsOf(role: string): Promise<number>;
  /** Refuses a role and ends its sessions, or lets it in again. */
  setLogin(role: string, allowed: boolean): Promise<void>;
  /** Runs `action` while the vault answers 503, and applications have noticed. */
  withoutVault(action: () => Promise<void>): Promise<void>;
  /**
   * A new role, a new version, a wait until nobody uses the old role, and then its end. The new version comes
   * while the orders are held, so that there are always requests that wait for a connection of the old role.
   */
  rotate(): Promise<Rotated>;
}

export interface Rotated {
  /** False: sessions of the old role were left when the overlap ended, and were cut. */
  readonly drained: boolean;
  /** What the server says to a login with the old value: an SQLSTATE, or undefined when it lets it in. */
  readonly oldAnswer: string | undefined;
}

/** The TTL that the examples run with in tests. */
export const ttlMs = 500;
/** How long a rotation waits for stragglers; far longer than two TTLs. */
const overlapMs = 8_000;
/** How long it holds the orders for an application that doesn't take up the new version. */
const waitMs = 5_000;
/** Of every example. */
const poolSize = 10;

export interface Login {
  readonly role: string;
  /** `postgres://…`, the secret's value. */
  readonly url: string;
}

export async function openStage(): Promise<Stage> {
  const undo: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    return await buildStage(undo, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function buildStage(undo: (() => Promise<unknown>)[], close: () => Promise<void>): Promise<Stage> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'keyturn-examples-'));
  undo.push(() => rm(dataFolder, { recursive: true, force: true }));
  const server = await startEmbeddedPostgres({
    dataFolder,
    settings: { fsync: 'off' },
    endsWithProcess: true,
  });
  undo.push(() => server.stop());
  const admin = new Client({ connectionString: server.url() });
  await admin.connect();
  undo.push(() => admin.end());
  await createOrders(admin);
  let count = 1;
  let current = await createLogin(admin, server, `orders_${count}`);

  const vault = await startEmulator({
    vaults: [{ name: 'orders', secrets: [{ name: 'orders-db', value: current.url }] }],
    identities: [
      {
        name: 'orders-api',
        systemAssigned: true,
        roles: [{ role: 'Key Vault Secrets User', scope: 'orders' }],
      },
      { name: 'operator', roles: [{ role: 'Key Vault Secrets Officer', scope: 'orders' }] },
    ],
  });
  undo.push(() => vault.close());
  const { credential } = vault.identities.get('operator');
  const operator = new SecretClient(vault.vaultUrl, credential, vault.clientOptions);

  return {
    environment: vault.environment,
    get current() {
      return current;
    },
    holdOrders: () => holdOrders(server),
    waitingForOrders: () => waitingForOrders(admin),
    sessionsOf: (role) => sessionsOf(admin, role),
    async setLogin(role, allowed) {
      await admin.query(`alter role ${role} ${allowed ? 'login' : 'nologin'}`);
      if (!allowed) await endSessions(admin, role);
    },
    async withoutVault(action) {
      const before = failedReads(vault);
      const restore = vault.faults.inject({
        operation: 'getSecret',
        effect: { kind: 'status', status: 503 },
      });
      try {
        const noticed = await within(20_000, async () => failedReads(vault) >= before + 2);
        if (!noticed) throw new Error('No application has read a secret.');
        await action();
      } finally {
        restore();
      }
    },
    async rotate() {
      const old = current;
      count += 1;
      current = await createLogin(admin, server, `orders_${count}`);
      const orders = await holdOrders(server);
      try {
        await within(waitMs, async () => (await waitingForOrders(admin)) === poolSize);
        await operator.setSecret('orders-db', current.url);
        await within(waitMs, async () => (await sessionsOf(admin, current.role)) > 0);
      } finally {
        await orders.release();
      }
      const drained = await within(overlapMs, async () => (await sessionsOf(admin, old.role)) === 0);
      await admin.query(`alter role ${old.role} nologin`);
      await endSessions(admin, old.role);
      return { drained, oldAnswer: await answerTo(old.url) };
    },
    [Symbol.asyncDispose]: close,
  };
}

async function createOrders(admin: Client): Promise<void> {
  await admin.query(`
    create role orders_owner nologin;
    create table items (id int primary key, item text not null);
    insert into items values (1, 'tea'), (2, 'coffee');
    create view orders as select items.* from items, pg_sleep(0.05); -- keeps the load low
    alter table items owner to orders_owner;
    alter view orders owner to orders_owner;`);
}

async function holdOrders(server: EmbeddedPostgres): Promise<{ release(): Promise<void> }> {
  const client = new Client({ connectionString: server.url() });
  await client.connect();
  await client.query('begin; lock table items in access exclusive mode');
  return { release: () => client.end() };
}

async function waitingForOrders(admin: Client): Promise<number> {
  const { rowCount } = await admin.query('select from pg_locks where not granted');
  return rowCount ?? 0;
}

async function createLogin(admin: Client, server: EmbeddedPostgres, role: string): Promise<Login> {
  const password = randomBytes(18).toString('base64url');
  await admin.query(`create role ${role} login in role orders_owner password '${password}'`);
  await admin.query(`alter role ${role} set role = 'orders_owner'`);
  return { role, url: `postgres://${role}:${password}@127.0.0.1:${server.port}/postgres` };
}

async function sessionsOf(admin: Client, role: string): Promise<number> {
  const { rowCount } = await admin.query('select from pg_stat_activity where usename = $1', [role]);
  return rowCount ?? 0;
}

async function endSessions(admin: Client, role: string): Promise<void> {
  await admin.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = $1', [
    role,
  ]);
}

async function answerTo(url: string): Promise<string | undefined> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? 'no answer';
  } finally {
    await client.end();
  }
}

function failedReads(vault: Emulator): number {
  return vault.audit.events().filter(({ properties }) => properties.fault !== undefined).length;
}

/** Whether it comes true in time; for what another process does. */
async function within(ms: number, holds: () => Promise<boolean>): Promise<boolean> {
  const check = async (): Promise<true> => {
    if (await holds()) return true;
    throw new Error('not yet');
  };
  return vi.waitFor(check, { timeout: ms, interval: 25 }).catch(() => false);
}
