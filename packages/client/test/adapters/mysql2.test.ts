import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createPool, type SecretPool, type SecretPoolOptions } from '../../src/adapters/mysql2.ts';
import { hasMariaDb, startMariaDb, type MariaDb } from '../servers/mariadb.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let server: MariaDb;
let scene: Scene;
let pool: SecretPool;

describe.skipIf(!hasMariaDb)('mysql2, with a real MariaDB', () => {
  beforeAll(async () => {
    server = await startMariaDb();
  });
  afterAll(() => server.stop());

  beforeEach(async () => {
    await server.admin.query(`
      create or replace user a@'127.0.0.1' identified by 'old-pw';
      create or replace user b@'127.0.0.1' identified by 'new-pw'`);
    scene = await openScene(url('a', 'old-pw'));
  });
  afterEach(async () => {
    await pool.end();
    await scene[Symbol.asyncDispose]();
  });

  const url = (user: string, password: string) => `mysql://${user}:${password}@127.0.0.1:${server.port}`;

  function open(options: SecretPoolOptions = {}): void {
    pool = createPool(scene.secrets, secretName, { connectionLimit: 4, ...options });
  }

  async function whoAmI(): Promise<string> {
    const [rows] = await pool.query<RowDataPacket[]>(
      'select substring_index(current_user(), "@", 1) as name',
    );
    return String(rows[0]?.['name']);
  }

  async function sessionsOf(user: string): Promise<number> {
    const [rows] = await server.admin.query<RowDataPacket[]>(
      'select id from information_schema.processlist where user = ?',
      [user],
    );
    return rows.length;
  }

  const isRefused = (uri: string) =>
    createConnection(uri).then(
      (connection) => connection.end().then(() => false),
      (error: { errno?: number }) => error.errno === 1045 || error.errno === 4151,
    );

  test('a pool swaps from one user to the other under load: no query fails, no old connection is left', async () => {
    open();
    await expectUneventfulRotation(scene, {
      request: () => pool.query('select sleep(0.002)'),
      newValue: url('b', 'new-pw'),
      connectionsOfOld: () => sessionsOf('a'),
      revokeOld: async () => void (await server.admin.query(`alter user a@'127.0.0.1' account lock`)),
      oldIsRefused: () => isRefused(url('a', 'old-pw')),
    });
    expect(await whoAmI()).toBe('b');
  });

  test('one user with two passwords rotates as well', async () => {
    const identified = (...passwords: string[]) =>
      server.admin.query(
        `alter user a@'127.0.0.1' identified via ${passwords
          .map((password) => `mysql_native_password using password('${password}')`)
          .join(' or ')}`,
      );
    await identified('old-pw', 'new-pw');
    open();
    await pool.query('select 1');
    const [before] = await server.admin.query<RowDataPacket[]>(
      `select id from information_schema.processlist where user = 'a'`,
    );
    const old = new Set(before.map(({ id }) => Number(id)));
    await expectUneventfulRotation(scene, {
      request: () => pool.query('select sleep(0.002)'),
      newValue: url('a', 'new-pw'),
      async connectionsOfOld() {
        const [now] = await server.admin.query<RowDataPacket[]>(
          `select id from information_schema.processlist where user = 'a'`,
        );
        return now.filter(({ id }) => old.has(Number(id))).length;
      },
      revokeOld: async () => void (await identified('new-pw')),
      oldIsRefused: () => isRefused(url('a', 'old-pw')),
    });
  });

  test('a connection that is checked out and those that wait for it survive the swap', async () => {
    open({ connectionLimit: 1 });
    const connection = await pool.getConnection();
    const queued = Array.from({ length: 10 }, () => whoAmI());
    scene.publish('v2', url('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: ['v1'] });
    expect(await whoAmI()).toBe('b');
    await connection.query('select 1');
    connection.release();
    expect(new Set(await Promise.all(queued))).toEqual(new Set(['a']));
    await scene.reported({ version: 'v2', held: [] });
    await soon(async () => expect(await sessionsOf('a')).toBe(0));
  });

  test('a connection that was destroyed is given back, too', async () => {
    open();
    const connection = await pool.getConnection();
    scene.publish('v2', url('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: ['v1'] });
    connection.destroy();
    await scene.reported({ version: 'v2', held: [] });
    expect(await sessionsOf('a')).toBe(0);
  });

  test('a refused login reads past the cache and serves the query, announced or not', async () => {
    await server.admin.query(`alter user a@'127.0.0.1' account lock`);
    open();
    await scene.secrets.get(secretName);
    scene.vault.publish('v2', url('b', 'new-pw'));
    expect(await Promise.all([whoAmI(), whoAmI(), whoAmI()])).toEqual(['b', 'b', 'b']);
    expect(scene.vault.reads).toHaveLength(2);
  });

  test.each([
    ['is refused', () => url('b', 'not-the-password'), { errno: 1045 }],
    ['is no login', () => 'just-a-password', { code: 'VALUE_FORMAT' }],
  ])('a new value that %s keeps the old pool, and a later one is taken up', async (_what, value, error) => {
    open();
    const errors: Error[] = [];
    pool.on('error', (one) => errors.push(one));
    expect(await whoAmI()).toBe('a');
    scene.publish('v2', value());
    await soon(() => expect(errors[0]).toMatchObject(error));
    expect(await whoAmI()).toBe('a');
    expect(errors.join()).not.toMatch(/not-the-password|just-a-password/);
    scene.publish('v3', url('b', 'new-pw'));
    await scene.reported({ version: 'v3', held: [] });
    expect(await whoAmI()).toBe('b');
  });

  test('sessions that the server ends crash nothing', async () => {
    open();
    expect(await whoAmI()).toBe('a');
    await server.admin.query(`kill user a@'127.0.0.1'`);
    await soon(async () => expect(await whoAmI()).toBe('a'));
  });

  test('the value may be JSON, with what it leaves out in the options', async () => {
    scene.vault.publish('v1', JSON.stringify({ username: 'a', password: 'old-pw' }));
    open({ host: '127.0.0.1', port: server.port });
    expect(await whoAmI()).toBe('a');
  });

  test('a URL that asks for TLS is not connected without it', async () => {
    scene.vault.publish('v1', `${url('a', 'old-pw')}?ssl={"rejectUnauthorized":false}`);
    open();
    await expect(pool.query('select 1')).rejects.toThrow('does not support secure connection');
  });

  test.each(['release', 'destroy', 'end'] as const)('a connection is given back by %s', async (way) => {
    open();
    const connection = await pool.getConnection();
    await connection[way]();
    scene.publish('v2', url('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: [] });
    expect(await sessionsOf('a')).toBe(0);
  });

  test('end serves who is waiting and closes every connection', async () => {
    open({ connectionLimit: 1 });
    const queued = Array.from({ length: 5 }, () => pool.execute('select 1 as one'));
    await soon(async () => expect(await sessionsOf('a')).toBe(1));
    await pool.end();
    expect(await Promise.all(queued)).toHaveLength(5);
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'CLOSED' });
    await soon(async () => expect(await sessionsOf('a')).toBe(0));
  });
});
