import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createPool, type SecretPool, type SecretPoolConfig } from '../../src/adapters/pg.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let server: EmbeddedPostgres;
let dataFolder: string;
let admin: Client;
let scene: Scene;
let pool: SecretPool;

beforeAll(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'client-pg-'));
  server = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' } });
  admin = new Client({ connectionString: server.url() });
  await admin.connect();
  await admin.query(`create role a login password 'old-pw'; create role b login password 'new-pw'`);
});
afterAll(async () => {
  await admin.end();
  await server.stop();
  await rm(dataFolder, { recursive: true, force: true });
});

beforeEach(async () => {
  scene = await openScene(url('a', 'old-pw'));
  await admin.query(`alter role a login password 'old-pw'; alter role b login password 'new-pw'`);
});
afterEach(async () => {
  await pool.end();
  await scene[Symbol.asyncDispose]();
});

const url = (user: string, password: string) =>
  `postgres://${user}:${password}@127.0.0.1:${server.port}/postgres`;

function open(config: SecretPoolConfig = {}): void {
  pool = createPool(scene.secrets, secretName, { max: 4, ...config });
}

async function isRefused(connectionString: string): Promise<boolean> {
  const client = new Client({ connectionString });
  return client.connect().then(
    () => client.end().then(() => false),
    (error: { code?: string }) => error.code === '28P01' || error.code === '28000',
  );
}

async function sessionsOf(role: string): Promise<number[]> {
  const { rows } = await admin.query<{ pid: number }>('select pid from pg_stat_activity where usename = $1', [
    role,
  ]);
  return rows.map(({ pid }) => pid);
}

const roleNow = async () => (await pool.query<{ role: string }>('select current_user as role')).rows[0]?.role;
const lastReport = () => scene.rotator.reports.at(-1)?.secrets[0];

test.each([
  ['long-lived connections', {}],
  ['a login for every query', { maxUses: 1 }],
])('a pool with %s swaps under load: no query fails, no old connection is left', async (_kind, config) => {
  open(config);
  await expectUneventfulRotation(scene, {
    request: () => pool.query('select pg_sleep(0.002)'),
    newValue: url('b', 'new-pw'),
    connectionsOfOld: async () => (await sessionsOf('a')).length,
    revokeOld: async () => void (await admin.query('alter role a nologin')),
    oldIsRefused: () => isRefused(url('a', 'old-pw')),
  });
  expect(await roleNow()).toBe('b');
});

test('queued waiters and a client that is checked out survive the swap', async () => {
  open({ max: 1 });
  const client = await pool.connect();
  const queued = Array.from({ length: 20 }, () => roleNow());
  await soon(() => expect(pool.waitingCount).toBe(20));
  scene.publish('v2', url('b', 'new-pw'));
  await soon(() => expect(lastReport()).toMatchObject({ version: 'v2', held: ['v1'] }));
  expect(await roleNow()).toBe('b');
  expect((await client.query<{ role: string }>('select current_user as role')).rows[0]?.role).toBe('a');
  client.release();
  expect(new Set(await Promise.all(queued))).toEqual(new Set(['a']));
  await soon(() => expect(lastReport()).toMatchObject({ version: 'v2', held: [] }));
  await soon(async () => expect(await sessionsOf('a')).toEqual([]));
});

test('idle connections of the old version are closed at once', async () => {
  open({ idleTimeoutMillis: 0 });
  await Promise.all([1, 2, 3, 4].map(() => pool.query('select pg_sleep(0.05)')));
  expect(pool.idleCount).toBe(4);
  scene.publish('v2', url('b', 'new-pw'));
  await soon(() => expect(lastReport()).toMatchObject({ version: 'v2', held: [] }));
  await soon(async () => expect(await sessionsOf('a')).toEqual([]));
});

test('sessions that the server ends crash nothing, idle or checked out', async () => {
  open();
  const errors: Error[] = [];
  pool.on('error', (error) => errors.push(error));
  const client = await pool.connect();
  await pool.query('select 1');
  await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', ['a']);
  await soon(() => expect(errors).toMatchObject([{ code: '57P01' }]));
  await expect(client.query('select 1')).rejects.toBeInstanceOf(Error);
  client.release(true); // a client that failed is not for the next one, as with pg itself
  expect(await roleNow()).toBe('a');
});

test('a new value that is refused keeps the old pool, is reported, and a later one is taken up', async () => {
  open();
  const errors: Error[] = [];
  pool.on('error', (error) => errors.push(error));
  expect(await roleNow()).toBe('a');
  scene.publish('v2', url('b', 'not-the-password'));
  await soon(() =>
    expect(lastReport()).toMatchObject({ version: 'v1', refused: { v2: expect.any(Number) } }),
  );
  expect(await roleNow()).toBe('a');
  expect(errors[0]).toMatchObject({ code: '28P01' });
  scene.publish('v3', url('b', 'new-pw'));
  await soon(() => expect(lastReport()).toMatchObject({ version: 'v3', held: [] }));
  expect(await roleNow()).toBe('b');
});

test('a new value that works only later is tried again', async () => {
  open();
  expect(await roleNow()).toBe('a');
  await admin.query(`alter role b nologin`);
  scene.publish('v2', url('b', 'new-pw'));
  await soon(() => expect(lastReport()?.refused).toMatchObject({ v2: expect.any(Number) }));
  await admin.query(`alter role b login`);
  await soon(() => expect(lastReport()).toMatchObject({ version: 'v2', held: [] }));
});

test('a value that is no login keeps the old pool', async () => {
  open();
  const errors: Error[] = [];
  pool.on('error', (error) => errors.push(error));
  expect(await roleNow()).toBe('a');
  scene.publish('v2', 'just-a-password');
  await soon(() => expect(errors[0]).toMatchObject({ code: 'VALUE_FORMAT' }));
  expect(String(errors[0])).not.toContain('just-a-password');
  expect(await roleNow()).toBe('a');
});

test('a refused login reads past the cache and serves the query, announced or not', async () => {
  open({ maxUses: 1 });
  expect(await roleNow()).toBe('a');
  scene.vault.publish('v2', url('b', 'new-pw'));
  await admin.query(`alter role a nologin`);
  expect(await Promise.all([roleNow(), roleNow(), roleNow()])).toEqual(['b', 'b', 'b']);
  expect(scene.vault.reads).toHaveLength(2);
});

test('the first login of all may be refused too', async () => {
  open();
  await scene.secrets.get(secretName);
  scene.vault.publish('v2', url('b', 'new-pw'));
  await admin.query(`alter role a nologin`);
  expect(await roleNow()).toBe('b');
});

test('a refusal without a newer version is passed on', async () => {
  scene.vault.publish('v1', url('a', 'not-the-password'));
  open();
  await expect(pool.query('select 1')).rejects.toMatchObject({ code: '28P01' });
});

test('the value may be JSON, with what it leaves out in the configuration', async () => {
  scene.vault.publish('v1', JSON.stringify({ username: 'a', password: 'old-pw', port: server.port }));
  open({ host: '127.0.0.1', database: 'postgres', application_name: 'orders-api' });
  const { rows } = await pool.query('select current_setting($1) as name', ['application_name']);
  expect(rows).toEqual([{ name: 'orders-api' }]);
});

test('an error of a query is passed on, and the pool goes on', async () => {
  open({ max: 1 });
  await expect(pool.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
  expect(await roleNow()).toBe('a');
});

test('end serves who is waiting and closes every connection', async () => {
  open({ max: 1 });
  await pool.query('select 1');
  const queued = Array.from({ length: 5 }, () => pool.query('select pg_sleep(0.01)'));
  await soon(() => expect(pool.waitingCount).toBeGreaterThan(0));
  await pool.end();
  expect(await Promise.all(queued)).toHaveLength(5);
  expect(pool.totalCount).toBe(0);
  await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'CLOSED' });
  await soon(async () => expect(await sessionsOf('a')).toEqual([]));
});

/** Hands bytes on to the server until a login is through, and then nothing more: a network that goes dark. */
async function startDarkRelay(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
  const sockets = new Set<Socket>();
  const relay = createServer((client) => {
    const upstream = connect(server.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk: Buffer) => {
      client.write(chunk);
      if (chunk.subarray(-readyForQuery.length).equals(readyForQuery))
        client.removeAllListeners('data').pause();
    });
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return {
    port: (relay.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy();
      relay.close();
      await once(relay, 'close');
    },
  };
}

test('a network that goes dark after the login of a new version does not hold the pool for ever', async () => {
  const dark = await startDarkRelay();
  open({ connectionTimeoutMillis: 200 });
  const errors: Error[] = [];
  pool.on('error', (error) => errors.push(error));
  expect(await roleNow()).toBe('a');
  scene.publish('v2', `postgres://b:new-pw@127.0.0.1:${dark.port}/postgres`);
  await soon(() => expect(errors).toContainEqual(expect.objectContaining({ code: 'LOGIN_TIMEOUT' })));
  expect(await roleNow()).toBe('a');
  scene.publish('v3', url('b', 'new-pw'));
  await soon(async () => expect(await roleNow()).toBe('b'));
  await dark.close();
});

test('connection parameters that stand in a JSON value reach the server as those of a URL do', async () => {
  const login = { host: '127.0.0.1', port: server.port, database: 'postgres', user: 'a', password: 'old-pw' };
  scene.vault.publish('v1', JSON.stringify({ ...login, sslmode: 'disable', application_name: 'orders' }));
  open();
  const { rows } = await pool.query<{ name: string }>("select current_setting('application_name') as name");
  expect(rows).toEqual([{ name: 'orders' }]);
});

test('a JSON value that asks for TLS is not connected without it', async () => {
  const login = { host: '127.0.0.1', port: server.port, database: 'postgres', user: 'a', password: 'old-pw' };
  scene.vault.publish('v1', JSON.stringify({ ...login, sslmode: 'require' }));
  open();
  await expect(pool.query('select 1')).rejects.toThrow('does not support SSL');
});
