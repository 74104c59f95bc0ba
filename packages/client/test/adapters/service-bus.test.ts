import { ServiceBusClient } from '@azure/service-bus';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  namedKey,
  openServiceBus,
  type MessageHandlers,
  type SecretBus,
  type SecretBusOptions,
} from '../../src/adapters/service-bus.ts';
import { fakeClock } from '../fakes/fake-clock.ts';
import { newKey, policyName, startAmqpPeer, type AmqpPeer } from '../servers/amqp-peer.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let peer: AmqpPeer;
let scene: Scene;
let bus: SecretBus;
let key1: string;
let key2: string;
let errors: Error[];

beforeEach(async () => {
  peer = await startAmqpPeer();
  ({ key1, key2 } = peer.keys);
  scene = await openScene(peer.connectionString(key1));
  errors = [];
});
afterEach(async () => {
  await bus.close();
  await scene[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
});

function open(options: SecretBusOptions = {}): void {
  bus = openServiceBus(scene.secrets, secretName, { failed: (error) => errors.push(error), ...options });
}

/** Notes what is handled and what is told. */
function handlers(processMessage: MessageHandlers['processMessage'] = async () => {}) {
  const bodies: string[] = [];
  const told: (Error & { code?: string })[] = [];
  return {
    bodies,
    told,
    async processMessage(...[message, settlement]: Parameters<MessageHandlers['processMessage']>) {
      await processMessage(message, settlement);
      bodies.push(String(message.body));
    },
    async processError({ error }: { error: Error }) {
      told.push(error);
    },
  };
}

async function isRefused(key: string): Promise<boolean> {
  const client = new ServiceBusClient(peer.connectionString(key), { retryOptions: { maxRetries: 0 } });
  try {
    return await client
      .createSender('orders')
      .createMessageBatch()
      .then(
        () => false,
        (error: { code?: string }) => error.code === 'UnauthorizedAccess',
      );
  } finally {
    await client.close();
  }
}

test('senders and receivers move to a new connection under load: nothing is lost, nothing comes twice', async () => {
  open();
  const received = handlers();
  await bus.subscribe('orders', received, { maxConcurrentCalls: 4 });
  let count = 0;
  await expectUneventfulRotation(scene, {
    request: () => bus.send('orders', { body: String((count += 1)) }),
    newValue: peer.connectionString(key2),
    connectionsOfOld: async () => peer.connectionsOf(key1),
    revokeOld: async () => void (peer.keys.key1 = newKey()),
    oldIsRefused: () => isRefused(key1),
  });
  const queue = peer.queue('orders');
  await soon(() => expect(queue.completed).toHaveLength(count));
  expect(new Set(queue.completed).size).toBe(count);
  expect(new Set(queue.deliveries.values())).toEqual(new Set([1]));
  expect(received.told).toEqual([]);
  expect(errors).toEqual([]);
});

test('a message under way is finished on the old connection, which counts as in use for that long', async () => {
  open();
  const done = Promise.withResolvers<void>();
  const received = handlers((message) => (message.body === 'slow' ? done.promise : Promise.resolve()));
  await bus.subscribe('orders', received, { maxConcurrentCalls: 2 });
  await bus.send('orders', { body: 'slow' });
  await soon(() => expect(peer.queue('orders').deliveries.get('slow')).toBe(1));
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: ['v1'] });
  await bus.send('orders', { body: 'quick' });
  await soon(() => expect(peer.queue('orders').completed).toEqual(['quick']));
  expect(peer.connectionsOf(key1)).toBe(1);
  done.resolve();
  await scene.reported({ version: 'v2', held: [] });
  await soon(() => expect(peer.connectionsOf(key1)).toBe(0));
  expect(peer.queue('orders').completed).toEqual(['quick', 'slow']);
  expect(received.told).toEqual([]);
});

test('idle connections of the old key are closed at once', async () => {
  open();
  await bus.send('orders', { body: '1' });
  expect(peer.connectionsOf(key1)).toBe(1);
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: [] });
  await soon(() => expect(peer.connectionsOf(key1)).toBe(0));
  expect(peer.connectionsOf(key2)).toBe(1);
});

test('a message is completed, abandoned when its handler rejects, or what the handler decides', async () => {
  open();
  let tries = 0;
  const received = handlers(async (message, settlement) => {
    if (message.body === 'twice' && (tries += 1) === 1) throw new Error('not yet');
    if (message.body === 'own') await settlement.completeMessage(message);
  });
  await bus.subscribe('orders', received);
  await bus.send('orders', [{ body: 'twice' }, { body: 'own' }]);
  const queue = peer.queue('orders');
  await soon(() => expect(queue.completed.toSorted()).toEqual(['own', 'twice']));
  expect(Object.fromEntries(queue.deliveries)).toEqual({ twice: 2, own: 1 });
  expect(received.told).toMatchObject([{ message: 'not yet' }]);
});

test('a subscription of a topic moves, too, and ends when it is closed', async () => {
  open();
  const from = { topic: 'events', subscription: 'mail' };
  const received = handlers();
  const subscription = await bus.subscribe(from, received);
  await bus.send('orders', { body: '1' });
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: [] });
  const direct = new ServiceBusClient(peer.connectionString(key2));
  await direct.createSender('events/Subscriptions/mail').sendMessages({ body: 'a' });
  await soon(() => expect(received.bodies).toEqual(['a']));
  await subscription.close();
  await direct.createSender('events/Subscriptions/mail').sendMessages({ body: 'b' });
  await direct.close();
  await bus.close();
  expect(received.bodies).toEqual(['a']);
});

test('batches are sent whole, whatever happened since they were made', async () => {
  open();
  const batch = await bus.createBatch('orders');
  expect(batch.tryAddMessage({ body: 'a' }) && batch.tryAddMessage({ body: 'b' })).toBe(true);
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: [] });
  await bus.send('orders', batch);
  expect(peer.queue('orders').received).toEqual(['a', 'b']);
});

test('a refused login reads past the cache and serves the send, announced or not', async () => {
  open();
  await bus.send('orders', { body: '1' });
  scene.vault.publish('v2', peer.connectionString(key2));
  peer.keys.key1 = newKey();
  peer.cut();
  await soon(() => expect(peer.connections).toBe(0));
  await Promise.all(['2', '3', '4'].map((body) => bus.send('orders', { body })));
  expect(scene.vault.reads).toHaveLength(2);
  expect(peer.queue('orders').received).toHaveLength(4);
});

test('a receiver whose reconnect is refused moves to the newer key by itself', async () => {
  open();
  const received = handlers();
  await bus.subscribe('orders', received);
  scene.vault.publish('v2', peer.connectionString(key2));
  peer.keys.key1 = newKey();
  peer.cut();
  await scene.reported({ version: 'v2', held: [], refused: { v1: expect.any(Number) } });
  await bus.send('orders', { body: 'after' });
  await soon(() => expect(received.bodies).toEqual(['after']));
});

test('the first login of all may be refused, too', async () => {
  open();
  await scene.secrets.get(secretName);
  scene.vault.publish('v2', peer.connectionString(key2));
  peer.keys.key1 = newKey();
  await bus.send('orders', { body: '1' });
  expect(peer.connectionsOf(key2)).toBe(1);
});

test('a refusal without a newer version is passed on at once', async () => {
  peer.keys.key1 = newKey();
  open();
  await expect(bus.send('orders', { body: '1' })).rejects.toMatchObject({ code: 'UnauthorizedAccess' });
  await expect(bus.subscribe('orders', handlers())).rejects.toMatchObject({ code: 'UnauthorizedAccess' });
  await soon(() => expect(peer.connections).toBe(0));
});

test('a new key that is refused keeps the old connection, and a later one is taken up', async () => {
  open();
  await bus.send('orders', { body: '1' });
  scene.publish('v2', peer.connectionString(newKey()));
  await scene.reported({ version: 'v1', refused: { v2: expect.any(Number) } });
  await bus.send('orders', { body: '2' });
  expect(errors[0]).toMatchObject({ code: 'UnauthorizedAccess' });
  scene.publish('v3', peer.connectionString(key2));
  await scene.reported({ version: 'v3', held: [] });
});

test.each([
  ['a password', 'just-a-password'],
  ['a signature', 'Endpoint=sb://127.0.0.1/;SharedAccessSignature=just-a-password'],
  ['JSON without a key', '{"endpoint":"sb://127.0.0.1/","just-a-password":1}'],
  ['broken JSON', '{"sharedAccessKey":"just-a-password'],
])('a new value that is %s keeps the old connection', async (_kind, value) => {
  open();
  await bus.send('orders', { body: '1' });
  scene.publish('v2', value);
  await soon(() => expect(errors[0]).toMatchObject({ code: 'VALUE_FORMAT' }));
  expect(String(errors[0])).not.toContain('just-a-password');
  await bus.send('orders', { body: '2' });
});

test('the value may be JSON', async () => {
  const login = {
    endpoint: `sb://127.0.0.1:${peer.port}/`,
    sharedAccessKeyName: policyName,
    sharedAccessKey: key1,
  };
  scene.vault.publish('v1', JSON.stringify({ ...login, useDevelopmentEmulator: 'true' }));
  open();
  await bus.send('orders', { body: '1' });
  expect(peer.connectionsOf(key1)).toBe(1);
});

test('a queue that was deleted since does not keep the other ones from a new key', async () => {
  open();
  await bus.send('orders', { body: '1' });
  await bus.send('passing', { body: '1' });
  peer.missing.add('passing');
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: [] });
  await bus.send('orders', { body: '2' });
  expect(peer.queue('orders').received).toEqual(['1', '2']);
});

test('a network that fails for a moment is tried again', async () => {
  open({ retryOptions: { maxRetries: 5, retryDelayInMs: 20, timeoutInMs: 500 } });
  await bus.send('orders', { body: '1' });
  for (let body = 2; body < 12; body += 1) {
    const sending = bus.send('orders', { body: String(body) });
    peer.cut();
    await sending;
  }
  expect(new Set(peer.queue('orders').received).size).toBe(11);
});

test('a connection that is lost while it is being closed does not keep its key in use for ever', async () => {
  open({ closeTimeoutMs: 200 });
  await bus.send('orders', { body: '1' });
  peer.diesWhenClosed = true;
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: [] });
  expect(errors).toMatchObject([{ code: 'LOGIN_TIMEOUT' }]);
});

test('closing finishes the messages under way and closes every connection', async () => {
  open();
  const done = Promise.withResolvers<void>();
  await bus.subscribe(
    'orders',
    handlers(() => done.promise),
  );
  await bus.send('orders', { body: 'last' });
  await soon(() => expect(peer.queue('orders').deliveries.size).toBe(1));
  const closing = bus.close();
  await expect(bus.send('orders', { body: 'late' })).rejects.toMatchObject({ code: 'CLOSED' });
  done.resolve();
  await closing;
  expect(peer.queue('orders').completed).toEqual(['last']);
  await soon(() => expect(peer.connections).toBe(0));
});

test('as a plain credential the newest key signs the next token, and the old one counts for an hour', async () => {
  open();
  const clock = fakeClock();
  const credential = await namedKey(scene.secrets, secretName, {
    clock,
    failed: (error) => errors.push(error),
  });
  // With a credential the SDK insists on TLS, but for what a host name can carry into its connection string.
  const host = `127.0.0.1:${peer.port}/;UseDevelopmentEmulator=true;Rest=`;
  const client = new ServiceBusClient(host, credential, { retryOptions: { maxRetries: 0 } });
  const sender = client.createSender('orders');
  await sender.sendMessages({ body: '1' });
  expect(peer.connectionsOf(key1)).toBe(1);
  scene.publish('v2', 'no login');
  await scene.secrets.get(secretName);
  await soon(() => {
    expect(credential.key).toBe(key1);
    expect(errors).toMatchObject([{ code: 'VALUE_FORMAT' }]);
  });
  scene.publish('v3', peer.connectionString(key2));
  await soon(() => expect(credential.key).toBe(key2));
  await scene.reported({ version: 'v1', held: ['v3'] });

  peer.cut();
  await soon(() => expect(peer.connections).toBe(0));
  await sender.sendMessages({ body: '2' });
  expect([peer.connectionsOf(key1), peer.connectionsOf(key2)]).toEqual([0, 1]);
  await clock.advance(59 * 60_000);
  expect(clock.pending).toBe(2); // both keys are held still
  expect(credential.key).toBe(key2);
  await clock.advance(60_000);
  await scene.reported({ version: 'v3', held: [] });

  scene.vault.publish('v4', peer.connectionString((peer.keys.key1 = newKey())));
  peer.keys.key2 = newKey();
  peer.cut();
  await soon(() => expect(peer.connections).toBe(0));
  await expect(sender.sendMessages({ body: '3' })).rejects.toMatchObject({ code: 'UnauthorizedAccess' });
  await credential.refused();
  await sender.sendMessages({ body: '3' });
  await client.close();
  credential.close();
  await scene.reported({ version: 'v4', held: [] });
});
