import { once } from 'node:events';
import { connect as connectTo, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openBroker, type SecretBroker } from '../../src/adapters/amqplib.ts';
import { hasRabbitMq, startRabbitMq, type RabbitMq } from '../servers/rabbitmq.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let server: RabbitMq;
let scene: Scene;
let broker: SecretBroker;

/** Takes its time with every answer of the server, from the second connection on. */
async function startSlowRelay(to: number) {
  const sockets = new Set<Socket>();
  let connections = 0;
  let answers = 0;
  const relay = createServer((client) => {
    connections += 1;
    const isSlow = connections > 1;
    const upstream = connectTo(to, '127.0.0.1');
    sockets.add(client);
    client.on('close', () => sockets.delete(client) && upstream.destroy()).on('error', () => {});
    upstream.on('close', () => client.destroy()).on('error', () => {});
    client.pipe(upstream);
    upstream.on('data', (chunk) => {
      if (isSlow) answers += 1;
      setTimeout(() => client.write(chunk), isSlow ? 100 : 0);
    });
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return {
    port: (relay.address() as AddressInfo).port,
    /** Of the server, on slow connections: to start, tune and open, then to channels. */
    get answers() {
      return answers;
    },
    get open() {
      return sockets.size;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      this.cut();
      relay.close();
      await once(relay, 'close');
    },
  };
}

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

  test('a mistake on the channel that publishes fails alone', async () => {
    await expect(broker.use((channel) => channel.checkQueue('missing'))).rejects.toThrow('NOT_FOUND');
    await expect(broker.publish('missing', '', Buffer.from('tea'))).rejects.toThrow('channel closed');
    await broker.publish('', 'orders', Buffer.from('tea'));
  });

  test('a consumer that the broker ends for a mistake goes on, and so does one whose queue comes back', async () => {
    const heard: string[] = [];
    await broker.consume('orders', (message, channel) => {
      heard.push(message.content.toString());
      channel.ack(message);
      if (message.content.toString() === 'twice') channel.ack(message);
    });
    await broker.publish('', 'orders', Buffer.from('twice'));
    await broker.publish('', 'orders', Buffer.from('tea'));
    await soon(() => expect(heard).toContain('tea'));
    await broker.use((channel) => channel.deleteQueue('orders'));
    await broker.use((channel) => channel.assertQueue('orders'));
    await broker.publish('', 'orders', Buffer.from('milk'));
    await soon(() => expect(heard).toContain('milk'));
  });

  test('a consumer whose queue is gone keeps no new version away', async () => {
    await broker.use((channel) => channel.assertQueue('gone'));
    const stop = await broker.consume('gone', () => {});
    await broker.use((channel) => channel.deleteQueue('gone'));
    scene.publish('v2', login('b', 'new-pw'));
    await scene.reported({ version: 'v2', held: [] });
    await soon(async () => expect(await connectionsOf('b')).toBe(1));
    await stop();
  });

  test('a connection that is still being made when the broker is closed is closed, too', async () => {
    const slow = await startSlowRelay(server.port);
    const apart = await openScene(login('a', 'old-pw').replace(String(server.port), String(slow.port)));
    const closing = openBroker(apart.secrets, secretName);
    await closing.consume('orders', () => {});
    slow.cut();
    await soon(() => expect(slow.answers).toBe(4)); // it has connected again, and opens its channels
    await closing.close();
    await soon(() => expect(slow.open).toBe(0));
    await apart[Symbol.asyncDispose]();
    await slow.close();
  });

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
