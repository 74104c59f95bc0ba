import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inMemory, openChangeLog, type ChangeLog } from '../../src/change-log.ts';
import { createClock, type RunningClock } from '../../src/clock.ts';
import { openDeliveryQueue } from '../../src/events/delivery-queue.ts';
import { openEventGrid, type EventGrid } from '../../src/events/event-grid.ts';
import type { VaultEvent } from '../../src/events/vault-event.ts';
import { startReceiver, type Receiver } from './receiver.ts';

const startMs = Date.parse('2027-01-01T00:00:00Z');
const minute = 60_000;
const day = 24 * 60 * minute;

let clock: RunningClock;
let grid: EventGrid;
let receiver: Receiver;
let hints: string[];

interface Ports {
  readonly log?: ChangeLog;
  readonly tokenFor?: (audience: string) => Promise<string>;
  readonly nearExpiryDelayMs?: number;
}

function open({ log = inMemory, ...ports }: Ports = {}): EventGrid {
  return openEventGrid({
    clock,
    log,
    topicOf: (vault) => `/vaults/${vault}`,
    tokenFor: () => Promise.resolve('token'),
    callbackUrl: 'http://127.0.0.1:1/events',
    nearExpiryDelayMs: 0,
    onHint: (line) => hints.push(line),
    ...ports,
  });
}

beforeEach(async () => {
  hints = [];
  clock = createClock({ startMs, realMs: () => 0, onMoved: () => {} });
  receiver = await startReceiver();
  grid = open();
});
afterEach(async () => {
  await grid.close();
  await clock.close();
  await receiver[Symbol.asyncDispose]();
});

const created = (name: string): VaultEvent => ({
  type: 'SecretNewVersionCreated',
  vault: 'orders',
  name,
  version: 'v1',
  id: `https://orders.vault.azure.net/secrets/${name}/v1`,
});

const subscribe = (more: object = {}) =>
  grid.subscriptions.add({ name: 'to-orders', endpoint: receiver.url, ...more });

const subjects = (at: Receiver = receiver) => at.notifications.map(({ event }) => event['subject']);
const counts = () => receiver.notifications.map(({ headers }) => headers['aeg-delivery-count']);
const timeOf = (ms: number) => new Date(startMs + ms).toISOString();

describe('what is sent', () => {
  test('a CloudEvent has the specification’s version for a metadata version, and no data version', async () => {
    await subscribe({ schema: 'cloudEvents' });
    await grid.publish(created('orders-db'));
    expect(receiver.notifications).toMatchObject([{ headers: { 'aeg-metadata-version': '1.0' } }]);
    expect(receiver.notifications[0]?.headers).not.toHaveProperty('aeg-data-version');
  });

  test('every shuffled subscription has its own order, however many there are', async () => {
    await using other = await startReceiver();
    await subscribe({ shuffle: true });
    await subscribe({ name: 'other', endpoint: other.url, shuffle: true });
    for (const name of ['a', 'b', 'c', 'd']) await grid.publish(created(name));
    await clock.advance(minute);
    expect(subjects()).toEqual(['b', 'd', 'a', 'c']);
    expect(subjects(other)).toEqual(['b', 'd', 'a', 'c']);
  });

  test('an endpoint is told that its subscription was removed', async () => {
    await subscribe();
    grid.subscriptions.remove('to-orders');
    await grid.subscriptions.settled();
    expect(receiver.handshakes.at(-1)).toMatchObject({
      headers: { 'aeg-event-type': 'SubscriptionDeletion', 'aeg-subscription-name': 'TO-ORDERS' },
      event: {
        subject: '',
        eventType: 'Microsoft.EventGrid.SubscriptionDeletedEvent',
        data: {
          eventSubscriptionId: '/vaults/all/providers/Microsoft.EventGrid/eventSubscriptions/to-orders',
        },
      },
    });
  });
});

describe('what fails', () => {
  test('its time to live is looked at when the next attempt is due, and no sooner', async () => {
    await subscribe({ eventTimeToLiveMinutes: 5 });
    receiver.answer = 503;
    await grid.publish(created('orders-db'));
    await clock.advance(6 * minute);
    expect(grid.subscriptions.deadLetters()).toEqual([]);
    await clock.advance(minute);
    expect(grid.subscriptions.deadLetters()).toMatchObject([
      {
        event: {
          deadLetterReason: 'TimeToLiveExceeded',
          deliveryAttempts: 4,
          lastDeliveryOutcome: 'Busy',
          lastDeliveryAttemptTime: timeOf(100_000),
        },
      },
    ]);
    expect(counts()).toEqual(['0', '1', '2', '3']);
  });

  test('a token that can’t be had is tried for again, like everything else', async () => {
    let broken = false;
    await grid.close();
    grid = open({ tokenFor: () => (broken ? Promise.reject(new Error('no key')) : Promise.resolve('t')) });
    await subscribe({ audience: 'api://orders' });
    broken = true;
    await grid.publish(created('orders-db'));
    expect(receiver.notifications).toEqual([]);
    broken = false;
    await clock.advance(10_000);
    expect(counts()).toEqual(['1']);
  });

  test('only the latest thousand dead letters are kept', () => {
    const queue = openDeliveryQueue(inMemory);
    const at = { attempts: 1, publishedAt: startMs, dueAt: startMs };
    for (let number = 0; number < 1_001; number += 1) {
      const event = {
        id: 'id',
        topic: '/vaults/orders',
        time: timeOf(0),
        event: created(`secret-${number}`),
      };
      const delivery = { key: String(number), subscription: 'to-orders', event, ...at };
      queue.giveUp(delivery, 'UndeliverableDueToHttpStatusCode', 'eventGrid');
    }
    const letters = queue.deadLetters();
    expect(letters).toHaveLength(1_000);
    expect(letters[0]?.event['subject']).toBe('secret-1');
  });
});

describe('the handshake', () => {
  const validationUrl = () => String(receiver.handshakes.at(-1)?.event.data['validationUrl']);
  const get = () => grid.fetch(new Request(validationUrl())).status;
  const states = () => grid.subscriptions.list().map(({ provisioningState }) => provisioningState);

  test('can be completed by hand for ten minutes', async () => {
    receiver.consent = (_request, response) => response.writeHead(200).end();
    await subscribe();
    await clock.advance(10 * minute - 1);
    expect(states()).toEqual(['AwaitingManualAction']);
    await clock.advance(1);
    expect(states()).toEqual(['Failed']);
    expect(get()).toBe(404);
    expect(states()).toEqual(['Failed']);
  });

  test('that was completed by hand stays completed', async () => {
    receiver.consent = (_request, response) => response.writeHead(200).end();
    await subscribe();
    expect(get()).toBe(200);
    await clock.advance(day);
    expect(get()).toBe(200);
    expect(states()).toEqual(['Succeeded']);
  });

  test('what waits for an endpoint that was replaced goes to the new one once that agreed', async () => {
    await subscribe();
    receiver.answer = 500;
    await grid.publish(created('orders-db'));
    await using other = await startReceiver();
    other.consent = (_request, response) => response.writeHead(200).end();
    await subscribe({ endpoint: other.url });
    await clock.advance(minute);
    expect(other.notifications).toEqual([]);
    const url = String(other.handshakes.at(-1)?.event.data['validationUrl']);
    grid.fetch(new Request(url));
    await grid.subscriptions.settled();
    expect(subjects(other)).toEqual(['orders-db']);
    expect(receiver.notifications).toHaveLength(1);
  });
});

describe('expiry', () => {
  const secret = { vault: 'orders', name: 'orders-db' };
  const inMs = (ms: number) => ({ version: 'v1', id: 'id', expires: (startMs + ms) / 1000 });
  const told = () =>
    receiver.notifications.map(({ event }) => [
      String(event['eventType']).split('.').at(-1),
      event['eventTime'],
    ]);

  test('is told at most once per version and expiry, back and forth', async () => {
    await subscribe();
    for (const days of [10, 12, 10, 12]) grid.currentIs(secret, inMs(days * day));
    await grid.subscriptions.settled();
    expect(receiver.notifications.map(({ event }) => event.data['EXP'])).toEqual([
      inMs(10 * day).expires,
      inMs(12 * day).expires,
    ]);
  });

  test('that comes near by a change of the expiry takes its time, too', async () => {
    await grid.close();
    grid = open({ nearExpiryDelayMs: 15 * minute });
    await subscribe();
    grid.currentIs(secret, inMs(400 * day));
    await clock.advance(day);
    grid.currentIs(secret, inMs(20 * day));
    await grid.subscriptions.settled();
    expect(told()).toEqual([]);
    await clock.advance(15 * minute);
    expect(told()).toEqual([['SecretNearExpiry', timeOf(day + 15 * minute)]]);
  });

  test('is told when it is there, even while the near expiry still takes its time', async () => {
    await grid.close();
    grid = open({ nearExpiryDelayMs: 15 * minute });
    await subscribe();
    grid.currentIs(secret, inMs(5 * minute));
    await clock.advance(day);
    expect(told()).toEqual([
      ['SecretNearExpiry', timeOf(5 * minute)],
      ['SecretExpired', timeOf(5 * minute)],
    ]);
  });
});

describe('after a restart', () => {
  let folder: string;
  let log: ChangeLog;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'event-grid-test-'));
    await grid.close();
    start();
  });
  afterEach(() => {
    log.close();
    rmSync(folder, { recursive: true });
  });

  const start = (): void => {
    log = openChangeLog(folder);
    grid = open({ log });
    log.compact();
  };
  const restart = async (): Promise<void> => {
    await grid.close();
    log.close();
    start();
  };

  test('an event that was published a moment before is not lost', async () => {
    await subscribe();
    receiver.answer = 'hang';
    void grid.publish(created('orders-db'));
    receiver.answer = 200;
    await restart();
    await grid.subscriptions.settled();
    expect(subjects()).toContain('orders-db');
  });

  test('dead letters, attempts and what was last heard are still there', async () => {
    await subscribe({ eventTimeToLiveMinutes: 1 });
    receiver.answer = 404;
    await grid.publish(created('orders-db'));
    await restart();
    await clock.advance(5 * minute);
    await restart();
    expect(grid.subscriptions.deadLetters('to-orders')).toMatchObject([
      { event: { deliveryAttempts: 3, lastDeliveryOutcome: 'NotFound' } },
    ]);
  });

  test('an expiry that was told is not told again, whichever of two it was', async () => {
    await subscribe();
    const secret = { vault: 'orders', name: 'orders-db' };
    const near = (days: number) => ({ version: 'v1', id: 'id', expires: (startMs + days * day) / 1000 });
    for (const days of [10, 12]) grid.currentIs(secret, near(days));
    await grid.subscriptions.settled();
    for (const days of [10, 12]) {
      await restart();
      grid.currentIs(secret, near(days));
      await grid.subscriptions.settled();
    }
    expect(receiver.notifications).toHaveLength(2);
  });

  test('an endpoint that nobody reached is asked again', async () => {
    const { url } = receiver;
    await receiver[Symbol.asyncDispose]();
    await subscribe({ endpoint: url });
    await restart();
    receiver = await startReceiver(Number(new URL(url).port));
    await expect
      .poll(() => grid.subscriptions.list(), { timeout: 10_000 })
      .toMatchObject([{ provisioningState: 'Succeeded' }]);
  });
});
