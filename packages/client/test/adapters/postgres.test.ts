import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '@keyturn/rotator/embedded-postgres';
import postgres, { type Sql } from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSql, type SecretSql, type SecretSqlOptions } from '../../src/adapters/postgres.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let server: EmbeddedPostgres;
let dataFolder: string;
let admin: Sql;
let scene: Scene;
let sql: SecretSql;

beforeAll(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'client-postgres-'));
  server = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' } });
  admin = postgres(server.url(), { max: 1 });
  await admin`create role a`;
  await admin`create role b`;
});
afterAll(async () => {
  await admin.end();
  await server.stop();
  await rm(dataFolder, { recursive: true, force: true });
});

beforeEach(async () => {
  await admin`alter role a login password 'old-pw'`;
  await admin`alter role b login password 'new-pw'`;
  scene = await openScene(url('a', 'old-pw'));
});
afterEach(async () => {
  await sql.end();
  await scene[Symbol.asyncDispose]();
});

const url = (user: string, password: string) =>
  `postgres://${user}:${password}@127.0.0.1:${server.port}/postgres`;

function open(options: SecretSqlOptions = {}): void {
  sql = createSql(scene.secrets, secretName, { max: 4, ...options });
}

const whoAmI = async () => (await sql<{ role: string }>`select current_user as role`)[0]?.role;
const sessionsOf = async (role: string) =>
  (await admin`select pid from pg_stat_activity where usename = ${role}`).length;

async function isRefused(connection: string): Promise<boolean> {
  const client = postgres(connection, { max: 1 });
  return client`select 1`.then(
    () => client.end().then(() => false),
    (error: { code?: string }) => error.code === '28P01' || error.code === '28000',
  );
}

test('it swaps under load: no query fails, no old connection is left', async () => {
  open();
  await expectUneventfulRotation(scene, {
    request: () => sql`select pg_sleep(${0.002})`,
    newValue: url('b', 'new-pw'),
    connectionsOfOld: () => sessionsOf('a'),
    revokeOld: async () => void (await admin`alter role a nologin`),
    oldIsRefused: () => isRefused(url('a', 'old-pw')),
  });
  expect(await whoAmI()).toBe('b');
});

test('a transaction keeps its version until it ends, and what is queued behind it is served', async () => {
  open({ max: 1 });
  const inside = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const transaction = sql.use((one) =>
    one.begin(async (tx) => {
      inside.resolve();
      await goOn.promise;
      return tx`select current_user as role`;
    }),
  );
  await inside.promise;
  const queued = Array.from({ length: 10 }, () => whoAmI());
  scene.publish('v2', url('b', 'new-pw'));
  await scene.reported({ version: 'v2', held: ['v1'] });
  expect(await whoAmI()).toBe('b');
  goOn.resolve();
  expect((await transaction)[0]).toEqual({ role: 'a' });
  expect(new Set(await Promise.all(queued))).toEqual(new Set(['a']));
  await scene.reported({ version: 'v2', held: [] });
  await soon(async () => expect(await sessionsOf('a')).toBe(0));
});

test('fragments are put together in use', async () => {
  open();
  const rows = await sql.use((one) => one`select ${1}::int as n ${one`union select ${2}::int order by n`}`);
  expect(rows.map(({ n }) => Number(n))).toEqual([1, 2]);
});

test('a refused login reads past the cache and serves the query, announced or not', async () => {
  await admin`alter role a nologin`;
  open();
  await scene.secrets.get(secretName);
  scene.vault.publish('v2', url('b', 'new-pw'));
  expect(await Promise.all([whoAmI(), whoAmI(), whoAmI()])).toEqual(['b', 'b', 'b']);
  expect(scene.vault.reads).toHaveLength(2);
});

test('a login that is refused after its connections were lost reads past the cache, and nobody waits for ever', async () => {
  open();
  expect(await whoAmI()).toBe('a');
  await admin`alter role a nologin`;
  await admin`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'a'`;
  scene.vault.publish('v2', url('b', 'new-pw'));
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => whoAmI()));
  expect(outcomes).toHaveLength(6);
  await soon(async () => expect(await whoAmI()).toBe('b'));
});

test.each([
  ['is refused', () => url('b', 'not-the-password'), { code: '28P01' }],
  ['is no login', () => 'just-a-password', { code: 'VALUE_FORMAT' }],
])('a new value that %s keeps the old login, and a later one is taken up', async (_what, value, error) => {
  open();
  const errors: Error[] = [];
  sql.on('error', (one) => errors.push(one));
  expect(await whoAmI()).toBe('a');
  scene.publish('v2', value());
  await soon(() => expect(errors[0]).toMatchObject(error));
  expect(await whoAmI()).toBe('a');
  expect(errors.join()).not.toMatch(/not-the-password|just-a-password/);
  scene.publish('v3', url('b', 'new-pw'));
  await scene.reported({ version: 'v3', held: [] });
  expect(await whoAmI()).toBe('b');
});

test('the value may be JSON, with what it leaves out in the options', async () => {
  scene.vault.publish('v1', JSON.stringify({ username: 'a', password: 'old-pw' }));
  open({ host: '127.0.0.1', port: server.port, database: 'postgres' });
  expect(await whoAmI()).toBe('a');
});

test('end serves what is under way and closes every connection', async () => {
  open({ max: 1 });
  const queued = Array.from({ length: 5 }, () => whoAmI());
  await soon(async () => expect(await sessionsOf('a')).toBe(1));
  await sql.end();
  expect(await Promise.all(queued)).toHaveLength(5);
  await expect(whoAmI()).rejects.toMatchObject({ code: 'CLOSED' });
  await soon(async () => expect(await sessionsOf('a')).toBe(0));
});

test.each([
  ['a URL with a port that is none', 'postgres://a:hunter2@127.0.0.1:99999/postgres'],
  ['a URL with an unescaped password', 'postgres://a:hun#hunter2@127.0.0.1/postgres'],
  [
    'JSON with a host that is none',
    JSON.stringify({ host: 'no host', user: 'a', password: 'hunter2', sslmode: 'require' }),
  ],
])('%s is no login, and is not quoted', async (_what, value) => {
  scene.vault.publish('v1', value);
  open();
  const failure: unknown = await whoAmI().catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'VALUE_FORMAT' });
  expect(inspect(failure, { depth: 9, showHidden: true })).not.toMatch(/hun|no host/);
});
