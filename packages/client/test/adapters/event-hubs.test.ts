import { EventHubProducerClient, type CheckpointStore, type ReceivedEventData } from '@azure/event-hubs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  namedKey,
  openEventHub,
  type SecretHub,
  type SecretHubOptions,
} from '../../src/adapters/event-hubs.ts';
import { hubName, newKey, startAmqpPeer, type AmqpPeer } from '../servers/amqp-peer.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let peer: AmqpPeer;
let scene: Scene;
let hub: SecretHub;
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
  await hub.close();
  await scene[Symbol.asyncDispose]();
  await peer[Symbol.asyncDispose]();
});

function open(options: SecretHubOptions = {}): void {
  hub = openEventHub(scene.secrets, secretName, {
    eventHubName: hubName,
    failed: (error) => errors.push(error),
    ...options,
  });
}

const send = (body: string) => hub.send([{ body }]);

/** Notes what is handled and what is told. */
function handlers(process: (events: readonly ReceivedEventData[]) => Promise<void> = async () => {}) {
  const bodies: string[] = [];
  const told: Error[] = [];
  return {
    bodies,
    told,
    async processEvents(events: readonly ReceivedEventData[]) {
      await process(events);
      bodies.push(...events.map(({ body }) => String(body)));
    },
    async processError(error: Error) {
      told.push(error);
    },
  };
}

async function isRefused(key: string): Promise<boolean> {
  const options = { retryOptions: { maxRetries: 0 } };
  const client = new EventHubProducerClient(peer.connectionString(key), hubName, options);
  try {
    return await client.getPartitionIds().then(
      () => false,
      (error: { code?: string }) => error.code === 'UnauthorizedError',
    );
  } finally {
    await client.close();
  }
}

test('producers and consumers move to new connections under load: every event is handled once, in order', async () => {
  open();
  const received = handlers();
  await hub.subscribe(received, { maxBatchSize: 5 });
  let count = 0;
  await expectUneventfulRotation(scene, {
    request: () => send(String((count += 1))),
    newValue: peer.connectionString(key2),
    connectionsOfOld: async () => peer.connectionsOf(key1),
    revokeOld: async () => void (peer.keys.key1 = newKey()),
    oldIsRefused: () => isRefused(key1),
  });
  await soon(() => expect(received.bodies).toHaveLength(count));
  expect(new Set(received.bodies).size).toBe(count);
  expect(received.told).toEqual([]);
  expect(errors).toEqual([]);
});

test('events under way are finished on the old connection, which counts as in use for that long', async () => {
  open();
  const done = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const received = handlers(async (events) => {
    if (!events.some(({ body }) => body === 'slow')) return;
    began.resolve();
    await done.promise;
  });
  await hub.subscribe(received);
  await hub.send([{ body: 'slow' }], { partitionId: '0' });
  await began.promise;
  expect(peer.connectionsOf(key1)).toBe(2); // one to send, one to receive
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: ['v1'] });
  await hub.send([{ body: 'next' }], { partitionId: '0' });
  expect(received.bodies).toEqual([]);
  done.resolve();
  await scene.reported({ version: 'v2', held: [] });
  await soon(() => expect(received.bodies).toEqual(['slow', 'next']));
  await soon(() => expect(peer.connectionsOf(key1)).toBe(0));
  expect(received.told).toEqual([]);
});

test('a subscription begins with the latest event of the moment it was made, also when it moves before the first', async () => {
  open();
  await hub.send([{ body: 'before' }], { partitionId: '0' });
  const received = handlers();
  await hub.subscribe(received);
  scene.publish('v2', peer.connectionString(key2));
  await hub.send([{ body: 'a' }], { partitionId: '0' });
  await hub.send([{ body: 'b' }], { partitionId: '1' });
  await scene.reported({ version: 'v2', held: [] });
  await soon(() => expect(received.bodies.toSorted()).toEqual(['a', 'b']));
});

test('a start position is kept, and closing a subscription ends it', async () => {
  open();
  await hub.send([{ body: 'a' }, { body: 'b' }], { partitionId: '0' });
  const received = handlers();
  const subscription = await hub.subscribe(received, { startPosition: { offset: '-1' } });
  await soon(() => expect(received.bodies).toEqual(['a', 'b']));
  await subscription.close();
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: [] });
  await hub.send([{ body: 'c' }], { partitionId: '0' });
  await hub.close();
  expect(received.bodies).toEqual(['a', 'b']);
});

test('with a checkpoint store the new connection goes on behind the last checkpoint', async () => {
  const store = memoryStore();
  open({ checkpointStore: store, loadBalancingOptions: { strategy: 'greedy' } });
  const bodies: string[] = [];
  await hub.subscribe({
    async processEvents(events, context) {
      bodies.push(...events.map(({ body }) => String(body)));
      const last = events.at(-1);
      if (last) await context.updateCheckpoint(last);
    },
    processError: async () => {},
  });
  await soon(() => expect(store.owned()).toBe(2));
  await hub.send([{ body: 'a' }], { partitionId: '0' });
  await soon(() => expect(bodies).toEqual(['a']));
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: [] });
  await hub.send([{ body: 'b' }], { partitionId: '0' });
  await soon(() => expect(bodies).toEqual(['a', 'b']));
});

test('a refused login reads past the cache and serves the send, announced or not', async () => {
  open();
  await send('1');
  scene.vault.publish('v2', peer.connectionString(key2));
  peer.keys.key1 = newKey();
  peer.cut();
  await soon(() => expect(peer.connections).toBe(0));
  await Promise.all(['2', '3', '4'].map(send));
  expect(scene.vault.reads).toHaveLength(2);
  expect(peer.hub.received).toHaveLength(4);
});

test('a consumer whose reconnect is refused moves to the newer key by itself', async () => {
  open();
  const received = handlers();
  // How long the SDK waits for events, and so until it sees that the connection is gone.
  await hub.subscribe(received, { maxWaitTimeInSeconds: 1 });
  await send('before');
  await soon(() => expect(received.bodies).toEqual(['before']));
  scene.vault.publish('v2', peer.connectionString(key2));
  peer.keys.key1 = newKey();
  peer.cut();
  await scene.reported({ version: 'v2', held: [], refused: { v1: expect.any(Number) } });
  await send('after');
  await soon(() => expect(received.bodies).toEqual(['before', 'after']));
});

test('a refusal without a newer version is passed on at once', async () => {
  peer.keys.key1 = newKey();
  open();
  await expect(send('1')).rejects.toMatchObject({ code: 'UnauthorizedError' });
  await expect(hub.subscribe(handlers())).rejects.toMatchObject({ code: 'UnauthorizedError' });
  await soon(() => expect(peer.connections).toBe(0));
});

test('a new key that is refused keeps the old connections, and a later one is taken up', async () => {
  open();
  await send('1');
  scene.publish('v2', peer.connectionString(newKey()));
  await scene.reported({ version: 'v1', refused: { v2: expect.any(Number) } });
  await send('2');
  expect(errors[0]).toMatchObject({ code: 'UnauthorizedError' });
  scene.publish('v3', 'just-a-password');
  await soon(() => expect(errors.at(-1)).toMatchObject({ code: 'VALUE_FORMAT' }));
  expect(String(errors.at(-1))).not.toContain('just-a-password');
  await send('3');
  scene.publish('v4', peer.connectionString(key2));
  await scene.reported({ version: 'v4', held: [] });
});

test('the value may name the event hub, and batches are sent whole', async () => {
  scene.vault.publish('v1', peer.connectionString(key1, hubName));
  hub = openEventHub(scene.secrets, secretName);
  const batch = await hub.createBatch({ partitionId: '1' });
  expect(batch.tryAdd({ body: 'a' }) && batch.tryAdd({ body: 'b' })).toBe(true);
  scene.publish('v2', peer.connectionString(key2, hubName));
  await scene.reported({ version: 'v2', held: [] });
  await hub.send(batch);
  expect(peer.hub.received).toEqual(['a', 'b']);
});

test.each([
  ['of another hub', 'other', 'other'],
  ['of no hub', undefined, undefined],
])('a value that is %s is refused without being quoted', async (_kind, inValue, said) => {
  scene.vault.publish('v1', peer.connectionString(key1, inValue));
  hub = openEventHub(scene.secrets, secretName, inValue === undefined ? {} : { eventHubName: hubName });
  const error: unknown = await send('1').catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'VALUE_FORMAT' });
  expect(String(error)).not.toContain(key1);
  expect(String(error)).toContain(said ?? 'eventHubName');
});

test('a connection that is lost while it is being closed does not keep its key in use for ever', async () => {
  open({ closeTimeoutMs: 200 });
  await send('1');
  peer.diesWhenClosed = true;
  scene.publish('v2', peer.connectionString(key2));
  await scene.reported({ version: 'v2', held: [] });
  expect(errors).toMatchObject([{ code: 'LOGIN_TIMEOUT' }]);
});

test('closing finishes the events under way and closes every connection', async () => {
  open();
  const began = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  const received = handlers(async (events) => {
    if (events.length > 0) began.resolve();
    await done.promise;
  });
  await hub.subscribe(received);
  await send('last');
  await began.promise;
  const closing = hub.close();
  await expect(send('late')).rejects.toMatchObject({ code: 'CLOSED' });
  done.resolve();
  await closing;
  expect(received.bodies).toEqual(['last']);
  await soon(() => expect(peer.connections).toBe(0));
});

test('a plain credential works here, too', async () => {
  open();
  const credential = await namedKey(scene.secrets, secretName);
  // With a credential the SDK insists on TLS, but for what a host name can carry into its connection string.
  const host = `127.0.0.1:${peer.port}/;UseDevelopmentEmulator=true;Rest=`;
  const producer = new EventHubProducerClient(host, hubName, credential);
  await producer.sendBatch([{ body: '1' }]);
  expect(peer.connectionsOf(key1)).toBe(1);
  await producer.close();
  credential.close();
});

/** Progress in memory, for one process. */
function memoryStore(): CheckpointStore & { owned(): number } {
  type Ownership = Awaited<ReturnType<CheckpointStore['listOwnership']>>[number];
  type Checkpoint = Awaited<ReturnType<CheckpointStore['listCheckpoints']>>[number];
  const ownerships = new Map<string, Ownership>();
  const checkpoints = new Map<string, Checkpoint>();
  return {
    owned: () => [...ownerships.values()].filter(({ ownerId }) => ownerId !== '').length,
    listOwnership: async () => [...ownerships.values()].map((one) => ({ ...one })),
    async claimOwnership(claims) {
      return claims.map((claim) => {
        const owned = { ...claim, etag: String(Math.random()), lastModifiedTimeInMs: Date.now() };
        ownerships.set(claim.partitionId, owned);
        return owned;
      });
    },
    async updateCheckpoint(checkpoint) {
      checkpoints.set(checkpoint.partitionId, checkpoint);
    },
    listCheckpoints: async () => [...checkpoints.values()],
  };
}
