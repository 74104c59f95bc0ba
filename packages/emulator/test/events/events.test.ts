import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretClient } from '@azure/keyvault-secrets';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/index.ts';
import { startReceiver, type Receiver } from './receiver.ts';

const startAt = new Date('2027-01-01T00:00:00Z');
const seconds = (text: string): number => Date.parse(text) / 1000;
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

let vault: Emulator;
let client: SecretClient;
let receiver: Receiver;
let hints: string[];

async function start(options: EmulatorOptions = {}): Promise<void> {
  vault = await startEmulator({
    vaults: [{ name: 'orders' }, { name: 'billing' }],
    startAt,
    onHint: (line) => hints.push(line),
    ...options,
  });
  vault.clock.stop();
  await vault.clock.set(options.dataFolder === undefined ? startAt : vault.clock.now());
  client = new SecretClient(vault.vaultUrl, vault.credential, vault.clientOptions);
}

beforeEach(async () => {
  hints = [];
  receiver = await startReceiver();
  await start();
});
afterEach(async () => {
  await vault.close();
  await receiver[Symbol.asyncDispose]();
});

const subscribe = (more: object = {}) =>
  vault.subscriptions.add({ name: 'to-orders', endpoint: receiver.url, ...more });

const types = () =>
  receiver.notifications.map(({ event }) =>
    String(event['eventType'] ?? event['type'])
      .split('.')
      .at(-1),
  );

describe('what is sent', () => {
  test('a new version, in Event Grid’s schema and with its headers', async () => {
    expect(await subscribe()).toMatchObject({ provisioningState: 'Succeeded' });
    const { properties } = await client.setSecret('orders-db', 'very-secret', {
      notBefore: new Date('2027-01-02T00:00:00Z'),
      expiresOn: new Date('2027-06-01T00:00:00Z'),
    });
    await vault.subscriptions.settled();
    expect(receiver.notifications).toHaveLength(1);
    const [{ headers, event, text } = { headers: {}, event: {}, text: '' }] = receiver.notifications;
    expect(headers).toMatchObject({
      'aeg-event-type': 'Notification',
      'aeg-subscription-name': 'TO-ORDERS',
      'aeg-delivery-count': '0',
      'aeg-data-version': '1',
      'aeg-metadata-version': '1',
      'content-type': 'application/json; charset=utf-8',
    });
    expect(text).toMatch(/^\[/);
    expect(event).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      topic: expect.stringMatching(/^\/subscriptions\/[^/]+\/resourceGroups\/.*\/vaults\/orders$/) as string,
      subject: 'orders-db',
      eventType: 'Microsoft.KeyVault.SecretNewVersionCreated',
      eventTime: '2027-01-01T00:00:00.000Z',
      dataVersion: '1',
      metadataVersion: '1',
      data: {
        Id: `https://orders.vault.azure.net/secrets/orders-db/${properties.version}`,
        VaultName: 'orders',
        ObjectType: 'Secret',
        ObjectName: 'orders-db',
        Version: properties.version,
        NBF: seconds('2027-01-02T00:00:00Z'),
        EXP: seconds('2027-06-01T00:00:00Z'),
      },
    });
    expect(text).not.toContain('very-secret');
  });

  test('the same as a CloudEvent', async () => {
    await subscribe({ schema: 'cloudEvents' });
    const { properties } = await client.setSecret('orders-db', 'very-secret');
    await vault.subscriptions.settled();
    const [{ headers, event } = { headers: {}, event: {} }] = receiver.notifications;
    expect(headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(event).toEqual({
      id: expect.any(String) as string,
      source: expect.stringMatching(/\/vaults\/orders$/) as string,
      specversion: '1.0',
      type: 'Microsoft.KeyVault.SecretNewVersionCreated',
      subject: 'orders-db',
      time: '2027-01-01T00:00:00.000Z',
      data: expect.objectContaining({ Version: properties.version, NBF: null, EXP: null }) as object,
    });
  });

  test('only what was subscribed to, of the vault that was subscribed to', async () => {
    await subscribe({ events: ['SecretNearExpiry'] });
    await subscribe({ name: 'billing', vault: 'billing' });
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    expect(receiver.notifications).toEqual([]);
  });

  test('every event twice, when duplicates are asked for', async () => {
    await subscribe({ duplicates: true });
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    expect(receiver.notifications).toHaveLength(2);
    expect(new Set(receiver.notifications.map(({ event }) => event['id'])).size).toBe(1);
  });

  test('out of order, when that is asked for', async () => {
    await subscribe({ shuffle: true });
    for (const name of ['a', 'b', 'c', 'd']) await client.setSecret(name, 'x');
    await vault.subscriptions.settled();
    await vault.clock.advance(minute);
    const order = receiver.notifications.map(({ event }) => event['subject']);
    expect(order).not.toEqual(['a', 'b', 'c', 'd']);
    expect(order.toSorted((one, other) => String(one).localeCompare(String(other)))).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  test('a token of Event Grid’s own at a protected endpoint', async () => {
    await subscribe({ audience: 'api://orders-webhook' });
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    for (const { headers } of [...receiver.handshakes, ...receiver.notifications]) {
      const token = headers.authorization?.replace('Bearer ', '') ?? '';
      const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(vault.keysUrl)), {
        audience: 'api://orders-webhook',
      });
      expect(payload).toMatchObject({
        appid: '4962773b-9cdb-44cf-a8bf-237846a00ab7',
        roles: ['AzureEventGridSecureWebhookSubscriber'],
      });
    }
    expect(receiver.notifications).toHaveLength(1);
  });
});

describe('expiry', () => {
  test('a version is near its expiry 30 days before it, and then expired', async () => {
    await subscribe();
    await client.setSecret('orders-db', 'x', { expiresOn: new Date('2027-04-01T00:00:00Z') });
    await vault.subscriptions.settled();
    await vault.clock.set(new Date('2027-03-01T23:59:59Z'));
    expect(types()).toEqual(['SecretNewVersionCreated']);
    await vault.clock.set(new Date('2027-03-02T00:00:00Z'));
    expect(types().at(-1)).toBe('SecretNearExpiry');
    expect(receiver.notifications.at(-1)?.event['eventTime']).toBe('2027-03-02T00:00:00.000Z');
    await vault.clock.advance(60 * day);
    expect(types()).toEqual(['SecretNewVersionCreated', 'SecretNearExpiry', 'SecretExpired']);
    expect(receiver.notifications.at(-1)?.event['eventTime']).toBe('2027-04-01T00:00:00.000Z');
  });

  test('a version that lives for 30 days or less is near its expiry at once, every time', async () => {
    await subscribe({ events: ['SecretNearExpiry'] });
    for (const expiry of ['20', '25']) {
      await client.setSecret('orders-db', 'x', { expiresOn: new Date(`2027-01-${expiry}T00:00:00Z`) });
      await vault.subscriptions.settled();
    }
    expect(types()).toEqual(['SecretNearExpiry', 'SecretNearExpiry']);
  });

  test('at once may take its time', async () => {
    await vault.close();
    await start({ nearExpiryDelayMs: 15 * minute });
    await subscribe({ events: ['SecretNearExpiry'] });
    await client.setSecret('orders-db', 'x', { expiresOn: new Date('2027-01-20T00:00:00Z') });
    await vault.clock.advance(15 * minute - 1);
    expect(types()).toEqual([]);
    await vault.clock.advance(1);
    expect(types()).toEqual(['SecretNearExpiry']);
  });

  test('only the current version counts, disabled or not', async () => {
    await subscribe({ events: ['SecretNearExpiry', 'SecretExpired'] });
    await client.setSecret('orders-db', 'x', { expiresOn: new Date('2027-04-01T00:00:00Z') });
    const { properties } = await client.setSecret('orders-db', 'y', {
      expiresOn: new Date('2027-06-01T00:00:00Z'),
      enabled: false,
    });
    await vault.clock.advance(365 * day);
    expect(receiver.notifications.map(({ event }) => event.data['Version'])).toEqual([
      properties.version,
      properties.version,
    ]);
  });

  test('another expiry is another near expiry, and a deleted secret has none', async () => {
    await subscribe({ events: ['SecretNearExpiry', 'SecretExpired'] });
    await client.setSecret('kept', 'x', { expiresOn: new Date('2027-04-01T00:00:00Z') });
    await client.setSecret('gone', 'x', { expiresOn: new Date('2027-04-01T00:00:00Z') });
    await (await client.beginDeleteSecret('gone', { intervalInMs: 1 })).pollUntilDone();
    await vault.clock.set(new Date('2027-03-15T00:00:00Z'));
    await client.updateSecretProperties('kept', '', { expiresOn: new Date('2027-08-01T00:00:00Z') });
    await vault.clock.set(new Date('2027-07-31T00:00:00Z'));
    expect(receiver.notifications.map(({ event }) => [event['subject'], event['eventTime']])).toEqual([
      ['kept', '2027-03-02T00:00:00.000Z'],
      ['kept', '2027-07-02T00:00:00.000Z'],
    ]);
  });
});

describe('delivery', () => {
  const at = () => vault.clock.now().getTime() - startAt.getTime();

  test('what fails is tried again on Event Grid’s schedule, and counted', async () => {
    await subscribe();
    receiver.answer = 503;
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    const times: number[] = [];
    for (const delay of [
      10_000,
      30_000,
      minute,
      5 * minute,
      10 * minute,
      30 * minute,
      hour,
      3 * hour,
      6 * hour,
    ]) {
      await vault.clock.advance(delay - 1);
      expect(receiver.notifications).toHaveLength(times.length + 1);
      await vault.clock.advance(1);
      times.push(at());
      expect(receiver.notifications).toHaveLength(times.length + 1);
    }
    receiver.answer = 200;
    await vault.clock.advance(12 * hour);
    expect(receiver.notifications.map(({ headers }) => headers['aeg-delivery-count'])).toEqual([
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
      '8',
      '9',
      '10',
    ]);
    await vault.clock.advance(30 * day);
    expect(receiver.notifications).toHaveLength(11);
    expect(vault.subscriptions.deadLetters()).toEqual([]);
  });

  test('only 200 to 204 are success', async () => {
    await subscribe({ maxDeliveryAttempts: 1 });
    for (const status of [200, 201, 202, 203, 204, 205, 302, 500]) {
      receiver.answer = status;
      await client.setSecret(`status-${status}`, 'x');
      await vault.subscriptions.settled();
    }
    expect(vault.subscriptions.deadLetters().map(({ event }) => event['subject'])).toEqual([
      'status-205',
      'status-302',
      'status-500',
    ]);
  });

  test.each([
    [400, 'BadRequest'],
    [401, 'Unauthorized'],
    [403, 'Forbidden'],
    [413, 'PayloadTooLarge'],
  ])('%i is not tried again', async (status, outcome) => {
    await subscribe();
    receiver.answer = status;
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    await vault.clock.advance(day);
    expect(receiver.notifications).toHaveLength(1);
    expect(vault.subscriptions.deadLetters('to-orders')).toMatchObject([
      { event: { deliveryAttempts: 1, lastDeliveryOutcome: outcome } },
    ]);
  });

  test('after its attempts or its time it is a dead letter that says why', async () => {
    await subscribe({ name: 'three', maxDeliveryAttempts: 3 });
    await subscribe({ name: 'minutes', eventTimeToLiveMinutes: 5, schema: 'cloudEvents' });
    receiver.answer = 500;
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    await vault.clock.advance(day);
    expect(vault.subscriptions.deadLetters('three')).toMatchObject([
      {
        event: {
          subject: 'orders-db',
          deadLetterReason: 'MaxDeliveryAttemptsExceeded',
          deliveryAttempts: 3,
          lastDeliveryOutcome: '500',
          publishTime: '2027-01-01T00:00:00.000Z',
          lastDeliveryAttemptTime: '2027-01-01T00:00:40.000Z',
        },
      },
    ]);
    expect(vault.subscriptions.deadLetters('minutes')).toMatchObject([
      { event: { specversion: '1.0', deadletterreason: 'TimeToLiveExceeded', deliveryattempts: 4 } },
    ]);
  });

  test('without an endpoint that is there it is tried again, too', async () => {
    await subscribe();
    await receiver[Symbol.asyncDispose]();
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    await vault.clock.advance(day);
    await vault.clock.advance(day);
    expect(vault.subscriptions.deadLetters()).toMatchObject([
      { event: { deadLetterReason: 'TimeToLiveExceeded', lastDeliveryOutcome: 'SocketError' } },
    ]);
    receiver = await startReceiver();
  });

  test('closing cuts off a receiver that hangs', async () => {
    await subscribe();
    receiver.answer = 'hang';
    await client.setSecret('orders-db', 'x');
    await expect.poll(() => receiver.notifications).toHaveLength(1);
    await vault.close();
    await start();
  });

  test('a subscription that is removed is sent nothing more', async () => {
    await subscribe();
    receiver.answer = 500;
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    vault.subscriptions.remove('to-orders');
    await vault.clock.advance(day);
    expect(receiver.notifications).toHaveLength(1);
    expect(vault.subscriptions.list()).toEqual([]);
  });
});

describe('the handshake', () => {
  test('asks with an event of its own, and with its own kind of request for CloudEvents', async () => {
    await subscribe({ name: 'grid' });
    await subscribe({ name: 'cloud', schema: 'cloudEvents' });
    expect(receiver.handshakes).toMatchObject([
      {
        method: 'POST',
        headers: { 'aeg-event-type': 'SubscriptionValidation', 'aeg-subscription-name': 'GRID' },
        event: {
          eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
          subject: '',
          data: {
            validationCode: expect.any(String) as string,
            validationUrl: expect.stringContaining('http') as string,
          },
        },
      },
      { method: 'OPTIONS', headers: { 'webhook-request-origin': 'eventgrid.azure.net' } },
    ]);
  });

  test.each([
    ['another status', 'eventGrid', 202, {}, '', 'Failed'],
    ['another code', 'eventGrid', 200, {}, '{"validationResponse":"guess"}', 'Failed'],
    ['no code yet', 'eventGrid', 200, {}, '', 'AwaitingManualAction'],
    ['a body that is no JSON', 'eventGrid', 200, {}, 'ok', 'AwaitingManualAction'],
    ['an error', 'cloudEvents', 405, {}, '', 'Failed'],
    ['another origin', 'cloudEvents', 200, { 'WebHook-Allowed-Origin': 'example.com' }, '', 'Failed'],
    ['no origin yet', 'cloudEvents', 200, {}, '', 'AwaitingManualAction'],
    ['every origin', 'cloudEvents', 200, { 'WebHook-Allowed-Origin': '*' }, '', 'Succeeded'],
  ] as const)('an answer with %s (%s) makes it %s%s%s%s', async (_, schema, status, headers, body, state) => {
    receiver.consent = (_request, response) => response.writeHead(status, headers).end(body);
    expect(await subscribe({ schema })).toMatchObject({ provisioningState: state });
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    expect(receiver.notifications).toHaveLength(state === 'Succeeded' ? 1 : 0);
    expect(hints).toHaveLength(state === 'Failed' ? 1 : 0);
  });

  test('may be completed by hand with the URL it was sent', async () => {
    receiver.consent = (_request, response) => response.writeHead(200).end();
    await subscribe();
    const url = String(receiver.handshakes[0]?.event.data['validationUrl']);
    expect((await fetch(url.replace(/code=.*/, 'code=guess'))).status).toBe(404);
    expect(vault.subscriptions.list()).toMatchObject([{ provisioningState: 'AwaitingManualAction' }]);
    expect((await fetch(url)).status).toBe(200);
    expect(vault.subscriptions.list()).toMatchObject([{ provisioningState: 'Succeeded' }]);
  });

  test('is tried again while nobody is there: the application may be started later', async () => {
    const { url } = receiver;
    await receiver[Symbol.asyncDispose]();
    expect(await subscribe({ endpoint: url })).toMatchObject({ provisioningState: 'Failed' });
    expect(hints).toEqual([
      `${url} is sent no events: it can't be reached (ECONNREFUSED). It is asked again every 2 s until it answers.`,
    ]);
    receiver = await startReceiver(Number(new URL(url).port));
    await expect
      .poll(() => vault.subscriptions.list(), { timeout: 10_000 })
      .toMatchObject([{ provisioningState: 'Succeeded' }]);
    expect(hints).toHaveLength(1);
  });
});

describe('with a data folder', () => {
  let dataFolder: string;
  beforeEach(async () => {
    dataFolder = await mkdtemp(join(tmpdir(), 'events-test-'));
    await vault.close();
    await start({ dataFolder });
  });
  afterEach(() => rm(dataFolder, { recursive: true, force: true }));

  const restart = async (): Promise<void> => {
    await vault.close();
    vault = await startEmulator({ dataFolder, vaults: [{ name: 'orders' }] });
    vault.clock.stop();
  };

  test('what was not delivered is delivered after a restart, once', async () => {
    await subscribe();
    receiver.answer = 500;
    await client.setSecret('orders-db', 'x');
    await vault.subscriptions.settled();
    receiver.answer = 200;
    await restart();
    await vault.clock.advance(day);
    expect(receiver.notifications.map(({ headers }) => headers['aeg-delivery-count'])).toEqual(['0', '1']);
    await restart();
    await vault.clock.advance(day);
    expect(receiver.notifications).toHaveLength(2);
    expect(receiver.handshakes).toHaveLength(1);
  });

  test('an expiry is told once, and one that is to come is not forgotten', async () => {
    await subscribe({ events: ['SecretNearExpiry', 'SecretExpired'] });
    await client.setSecret('orders-db', 'x', { expiresOn: new Date('2027-04-01T00:00:00Z') });
    await vault.clock.set(new Date('2027-03-10T00:00:00Z'));
    expect(types()).toEqual(['SecretNearExpiry']);
    await restart();
    await vault.clock.advance(day);
    expect(types()).toEqual(['SecretNearExpiry']);
    await vault.clock.advance(60 * day);
    expect(types()).toEqual(['SecretNearExpiry', 'SecretExpired']);
  });
});

test('a hundred thousand secrets wait for their expiry without strain', async () => {
  const secrets = Array.from({ length: 100_000 }, (_, number) => ({
    name: `secret-${number}`,
    value: 'x',
    expires: new Date(startAt.getTime() + (400 + ((number * 7919) % 100_000)) * day),
  }));
  await vault.close();
  await start({ vaults: [{ name: 'orders', secrets }] });
  await subscribe({ events: ['SecretNearExpiry'] });
  await vault.clock.advance(371 * day);
  expect(receiver.notifications.length).toBeGreaterThan(0);
  expect(receiver.notifications.length).toBeLessThan(10);
});
