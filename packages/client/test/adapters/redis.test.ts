import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openRedis, type SecretRedis, type SecretRedisOptions } from '../../src/adapters/redis.ts';
import { hasRedis, startRedis, type RedisServer } from '../servers/redis.ts';
import { expectRotationOfUsers, isRefused, setUsers, usersOf } from './redis-scene.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let server: RedisServer;
let scene: Scene;
let redis: SecretRedis;

const login = (username: string, password: string) => JSON.stringify({ username, password });

describe.skipIf(!hasRedis)('node-redis, with a real Redis', () => {
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  beforeEach(async () => {
    await setUsers(server);
    scene = await openScene(login('a', 'old-pw'));
  });
  afterEach(async () => {
    await redis.close();
    await scene[Symbol.asyncDispose]();
    if ((await usersOf(server)).length > 0) throw new Error('A connection was left open.');
  });

  async function open(options: SecretRedisOptions = {}): Promise<void> {
    redis = await openRedis(scene.secrets, secretName, {
      socket: { host: '127.0.0.1', port: server.port },
      ...options,
    });
  }

  test('connections sign in anew under load: no command fails, none is on the old user, none was closed', async () => {
    await open();
    await redis.duplicate();
    const before = (await server.clients()).map(({ id }) => id);
    await expectRotationOfUsers(scene, server, () => redis.client.incr('n'));
    expect(await usersOf(server)).toEqual(['b', 'b']);
    expect((await server.clients()).map(({ id }) => id)).toEqual(before);
  });

  test('one user with two passwords rotates as well, and the names of the connections tell the password', async () => {
    scene.vault.publish('v1', 'old-pw');
    await open({ username: 'app', nameConnections: 'orders-api' });
    const namesOf = async (user: string) =>
      (await server.clients()).filter((client) => client['user'] === user).map(({ name }) => name);
    expect(await namesOf('app')).toEqual(['orders-api@9d89a66bd9dd']);
    await expectUneventfulRotation(scene, {
      request: () => redis.client.incr('n'),
      newValue: 'new-pw',
      connectionsOfOld: async () =>
        (await namesOf('app')).filter((name) => name === 'orders-api@9d89a66bd9dd').length,
      revokeOld: async () => void (await server.admin.acl('SETUSER', 'app', '<old-pw')),
      oldIsRefused: () => isRefused(server, 'app', 'old-pw'),
    });
    expect(await namesOf('app')).toEqual(['orders-api@29c53bd3b4fe']);
  });

  test('a subscription is carried over to the new user', async () => {
    await open();
    const heard: string[] = [];
    const subscriber = await redis.duplicate();
    await subscriber.subscribe('orders', (message) => heard.push(message));
    scene.publish('v2', login('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: [] });
    expect(await usersOf(server)).toEqual(['b', 'b']);
    await soon(async () => expect(await server.admin.publish('orders', 'tea')).toBe(1));
    await soon(() => expect(heard).toEqual(['tea']));
  });

  test('a connection that waits in a blocking command holds the old version until it is through', async () => {
    await open();
    const worker = await redis.duplicate();
    const job = worker.blPop('jobs', 0);
    scene.publish('v2', login('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: ['v1'] });
    expect((await usersOf(server)).toSorted()).toEqual(['a', 'b']);
    await server.admin.rpush('jobs', 'one');
    expect(await job).toEqual({ key: 'jobs', element: 'one' });
    await scene.reported({ version: 'v2', held: [] });
    expect(await usersOf(server)).toEqual(['b', 'b']);
  });

  test('a connection that is refused when it connects again reads past the cache, and loses no command', async () => {
    await open();
    await server.admin.acl('SETUSER', 'a', '<old-pw');
    scene.vault.publish('v2', login('b', 'new-pw'));
    await server.admin.client('KILL', 'USER', 'a');
    expect(await redis.use((client) => client.set('k', 'v'))).toBe('OK');
    await soon(async () => expect(await usersOf(server)).toEqual(['b']));
    await scene.reported({ version: 'v2', held: [], refused: { v1: expect.any(Number) } });
  });

  test('a version that was replaced before a connection could sign in with it is passed over', async () => {
    await open();
    const worker = await redis.duplicate();
    const job = worker.blPop('jobs', 0);
    scene.publish('v2', login('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: ['v1'] });
    await server.admin.acl('SETUSER', 'b', '<new-pw');
    scene.publish('v3', login('app', 'new-pw'));
    await scene.reported({ version: 'v3', held: expect.arrayContaining(['v1']) });
    await server.admin.rpush('jobs', 'one');
    await job;
    await scene.reported({ version: 'v3', held: [] });
    expect(await usersOf(server)).toEqual(['app', 'app']);
  });

  test('another connection that is refused reads past the cache, and leaves nothing behind', async () => {
    await open();
    scene.vault.publish('v2', login('b', 'new-pw'));
    await server.admin.acl('SETUSER', 'a', '<old-pw');
    await redis.duplicate();
    await scene.reported({ version: 'v2', held: [], refused: { v1: expect.any(Number) } });
    expect(await usersOf(server)).toEqual(['b', 'b']);
  });

  test('a subscription of the old protocol holds the old version until it connects again', async () => {
    await open({ RESP: 2 });
    const subscriber = await redis.duplicate();
    await subscriber.subscribe('orders', () => {});
    scene.publish('v2', login('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: ['v1'] });
    await server.admin.client('KILL', 'USER', 'a');
    await scene.reported({ version: 'v2', held: [] });
    expect(await usersOf(server)).toEqual(['b', 'b']);
  });

  test('the first login of all may be refused, too', async () => {
    await scene.secrets.get(secretName);
    await server.admin.acl('SETUSER', 'a', '<old-pw');
    scene.vault.publish('v2', login('b', 'new-pw'));
    await open();
    expect(await usersOf(server)).toEqual(['b']);
  });

  test('a refusal without a newer version is passed on, without the value', async () => {
    await open();
    scene.vault.publish('v2', login('a', 'not-the-password'));
    const fresh = await openScene(login('a', 'not-the-password'));
    const refused = openRedis(fresh.secrets, secretName, {
      socket: { host: '127.0.0.1', port: server.port },
    });
    await expect(refused).rejects.toThrow(/^WRONGPASS (?!.*not-the-password)/);
    await fresh[Symbol.asyncDispose]();
  });

  test.each([
    ['is refused', login('b', 'not-the-password'), { message: expect.stringContaining('WRONGPASS') }],
    ['is no login', '{"user":"b"}', { code: 'VALUE_FORMAT' }],
  ])('a new value that %s keeps the old login, and a later one is taken up', async (_what, value, error) => {
    await open();
    const errors: Error[] = [];
    redis.on('error', (one) => errors.push(one));
    scene.publish('v2', value);
    await soon(() => expect(errors[0]).toMatchObject(error));
    expect(await redis.client.ping()).toBe('PONG');
    expect(await usersOf(server)).toEqual(['a']);
    scene.publish('v3', login('b', 'new-pw'));
    await scene.reported({ version: 'v3', held: [] });
    expect(await usersOf(server)).toEqual(['b']);
  });

  test.each([
    ['a URL', (port: number) => `redis://a:old-pw@127.0.0.1:${port}/5`],
    [
      'JSON',
      (port: number) => JSON.stringify({ username: 'a', password: 'old-pw', host: '127.0.0.1', port, db: 5 }),
    ],
  ])('the database that %s names is the one that is used', async (_what, value) => {
    scene.vault.publish('v1', value(server.port));
    redis = await openRedis(scene.secrets, secretName);
    expect((await server.clients()).filter(({ user }) => user === 'a').map(({ db }) => db)).toEqual(['5']);
  });

  test('the value may be a URL', async () => {
    scene.vault.publish('v1', `redis://a:old-pw@127.0.0.1:${server.port}`);
    redis = await openRedis(scene.secrets, secretName);
    expect(await usersOf(server)).toEqual(['a']);
  });
});
