import { connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openBroker, type SecretBroker } from '../../src/adapters/amqplib.ts';
import { hasRabbitMq, startRabbitMq, type RabbitMq } from '../servers/rabbitmq.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let server: RabbitMq;
let scene: Scene;
let broker: SecretBroker;

describe.skipIf(!hasRabbitMq)('amqplib, with a real RabbitMQ', () => {
  beforeAll(async () => {
    server = await startRabbitMq();
  }, 60_000);
  afterAll(() => server.stop());

  beforeEach(async () => {
    await setUser('a', 'old-pw');
    await setUser('b', 'new-pw');
    scene = await openScene(login('a', 'old-pw'));
    broker = openBroker(scene.secrets, secretName);
    await broker.use((channel) => channel.assertQueue('orders'));
    await broker.use((channel) => channel.purgeQueue('orders'));
  });
  afterEach(async () => {
    await broker.close();
    await scene[Symbol.asyncDispose]();
  });

  const login = (username: string, password: string) =>
    JSON.stringify({ host: '127.0.0.1', port: server.port, username, password });

  async function setUser(name: string, password: string): Promise<void> {
    await server.api('PUT', `/api/users/${name}`, { password, tags: '' });
    const everything = { configure: '.*', write: '.*', read: '.*' };
    await server.api('PUT', `/api/permissions/%2F/${name}`, everything);
  }

  async function connectionsOf(user: string): Promise<number> {
    const connections = (await server.api('GET', '/api/connections')) as readonly { user?: string }[];
    return connections.filter((connection) => connection.user === user).length;
  }

  const isRefused = (username: string, password: string) =>
    connect({ hostname: '127.0.0.1', port: server.port, username, password }).then(
      (connection) => connection.close().then(() => false),
      (error: Error) => error.message.includes('403'),
    );

  test('publishing and consuming go over to the new user under load: no message is lost', async () => {
    const heard: string[] = [];
    const stop = await broker.consume('orders', (message, channel) => {
      heard.push(message.content.toString());
      channel.ack(message);
    });
    let sent = 0;
    await expectUneventfulRotation(scene, {
      async request() {
        sent += 1;
        await broker.publish('', 'orders', Buffer.from(String(sent)));
      },
      newValue: login('b', 'new-pw'),
      connectionsOfOld: () => connectionsOf('a'),
      revokeOld: () => setUser('a', 'another'),
      oldIsRefused: () => isRefused('a', 'old-pw'),
    });
    await soon(() => expect(new Set(heard).size).toBe(sent));
    expect(heard).toHaveLength(sent); // and none came twice
    await soon(async () => expect(await connectionsOf('b')).toBe(1));
    await stop();
  });

  test('a message under way is finished and acknowledged on the connection that it came by', async () => {
    const arrived = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const heard: string[] = [];
    await broker.consume('orders', async (message, channel) => {
      const text = message.content.toString();
      if (text === 'slow') {
        arrived.resolve();
        await goOn.promise;
      }
      heard.push(text);
      channel.ack(message);
    });
    await broker.publish('', 'orders', Buffer.from('slow'));
    await arrived.promise;
    scene.publish('v2', login('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: ['v1'] });
    await broker.publish('', 'orders', Buffer.from('quick'));
    await soon(() => expect(heard).toEqual(['quick']));
    goOn.resolve();
    await scene.reported({ version: 'v2', held: [] });
    expect(heard).toEqual(['quick', 'slow']);
    expect(await broker.use((channel) => channel.checkQueue('orders'))).toMatchObject({ messageCount: 0 });
  });

  test('a user that is gone closes the connection; a newer version is read past the cache and goes on', async () => {
    const heard: string[] = [];
    await broker.consume('orders', (message, channel) => {
      heard.push(message.content.toString());
      channel.ack(message);
    });
    scene.vault.publish('v2', login('b', 'new-pw'));
    await server.api('DELETE', '/api/users/a');
    await scene.reported({ version: 'v2', held: [], refused: { v1: expect.any(Number) } });
    await broker.publish('', 'orders', Buffer.from('tea'));
    await soon(() => expect(heard).toEqual(['tea']));
  });

  test('a connection that the broker ends is made anew', async () => {
    const heard: string[] = [];
    await broker.consume('orders', (message, channel) => {
      heard.push(message.content.toString());
      channel.ack(message);
    });
    await soon(async () => expect(await connectionsOf('a')).toBe(1));
    const connections = (await server.api('GET', '/api/connections')) as readonly { name: string }[];
    for (const { name } of connections)
      await server.api('DELETE', `/api/connections/${encodeURIComponent(name)}`);
    await soon(() => broker.publish('', 'orders', Buffer.from('tea')));
    await soon(() => expect(heard).toContain('tea'));
  });

  test.each([
    ['is refused', () => login('b', 'not-the-password'), { message: expect.stringContaining('403') }],
    ['is no login', () => 'just-a-password', { code: 'VALUE_FORMAT' }],
  ])(
    'a new value that %s keeps the old connection, and a later one is taken up',
    async (_what, value, error) => {
      const errors: Error[] = [];
      broker.on('error', (one) => errors.push(one));
      scene.publish('v2', value());
      await soon(() => expect(errors[0]).toMatchObject(error));
      await broker.publish('', 'orders', Buffer.from('tea'));
      expect(errors.join()).not.toMatch(/not-the-password|just-a-password/);
      scene.publish('v3', login('b', 'new-pw'));
      await scene.reported({ version: 'v3', held: [] });
      await broker.publish('', 'orders', Buffer.from('tea'));
    },
  );

  test('what is no longer consumed stays in the queue', async () => {
    const heard: string[] = [];
    const stop = await broker.consume('orders', (message) => heard.push(message.content.toString()), {
      noAck: true,
    });
    await stop();
    await broker.publish('', 'orders', Buffer.from('tea'));
    expect(await broker.use((channel) => channel.checkQueue('orders'))).toMatchObject({ messageCount: 1 });
    expect(heard).toEqual([]);
  });
});
