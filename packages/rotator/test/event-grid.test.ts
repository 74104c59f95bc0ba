import { request } from 'node:http';
import { SecretClient } from '@azure/keyvault-secrets';
import { startEmulator, type Emulator, type NewSubscription } from '@keyturn/emulator';
import { SecretValue } from '@keyturn/source';
import { Hono } from 'hono';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { listen, type Listening } from '../src/server/listen.ts';
import { eventGridAppId, eventGridRole } from '../src/triggers/entra-check.ts';
import {
  eventGridRoutes,
  type DeliveryReport,
  type EventGridRouteOptions,
} from '../src/triggers/event-grid-routes.ts';
import type { VaultEvent } from '../src/triggers/vault-event.ts';
import { openWebhookAuth, type WebhookAuth } from '../src/triggers/webhook-auth.ts';

const audience = 'api://keyturn';
const dayMs = 86_400_000;
let emulator: Emulator;
let listening: Listening;
let accepted: VaultEvent[];
let reports: DeliveryReport[];
let names = 0;

beforeAll(async () => {
  emulator = await startEmulator({ vaults: [{ name: 'orders' }], startAt: new Date('2027-01-01') });
  emulator.clock.stop();
});
afterAll(() => emulator.close());
beforeEach(() => {
  accepted = [];
  reports = [];
});
afterEach(async () => {
  for (const { name } of emulator.subscriptions.list()) emulator.subscriptions.remove(name);
  await emulator.subscriptions.settled();
  await listening.close();
});

const withKey: WebhookAuth = { kind: 'key', keys: [new SecretValue('the-key')] };

/** As the emulator's tenant: it has one address for its keys, and its tokens are of version 1.0. */
function withEntra(caller: { appId: string } | { role: string } = { appId: eventGridAppId }): WebhookAuth {
  const tenant = new URL(emulator.keysUrl).pathname.split('/')[1] ?? '';
  const issuers = [`https://sts.windows.net/${tenant}/`];
  return { kind: 'entra', issuers, audiences: [audience], keysUrl: new URL(emulator.keysUrl), caller };
}

async function serve(auth: WebhookAuth, more: Partial<EventGridRouteOptions> = {}): Promise<void> {
  const app = eventGridRoutes({
    authorise: openWebhookAuth(auth, systemClock),
    accept: async (events) => void accepted.push(...events),
    report: (report) => reports.push(report),
    ...more,
  });
  // Beside other routes, as in the rotator.
  listening = await listen(new Hono().route('/', app), { host: '127.0.0.1', port: 0 });
}

function subscribe(more: Partial<NewSubscription> = {}) {
  const endpoint = `${listening.url}/v1/events`;
  return emulator.subscriptions.add({ name: 'to-keyturn', endpoint, audience, ...more });
}

/** A new version that expires in so many days. */
async function setSecret(validDays: number): Promise<{ secret: string; version: string; expires: number }> {
  names += 1;
  const secret = `orders-db-${names}`;
  const client = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
  const expiresOn = new Date(emulator.clock.now().getTime() + validDays * dayMs);
  const { properties } = await client.setSecret(secret, 'planted-value', { expiresOn });
  await emulator.subscriptions.settled();
  return { secret, version: properties.version ?? '', expires: properties.expiresOn?.getTime() ?? 0 };
}

function post(body: string, headers: Record<string, string> = { 'keyturn-webhook-key': 'the-key' }) {
  return fetch(`${listening.url}/v1/events`, { method: 'POST', headers, body });
}

const validation = JSON.stringify([
  {
    id: '1',
    topic: '/t',
    subject: '',
    eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
    eventTime: '2027-01-01T00:00:00Z',
    data: { validationCode: 'the-code' },
  },
]);

const schemas = ['eventGrid', 'cloudEvents'] as const;

describe.each(schemas)('a vault’s events in the schema %s', (schema) => {
  it('come after the handshake, from the new version to its expiry', async () => {
    await serve(withEntra());
    expect(await subscribe({ schema })).toMatchObject({ provisioningState: 'Succeeded' });
    const { secret, version, expires } = await setSecret(40);
    await emulator.clock.advance(41 * dayMs);
    await emulator.subscriptions.settled();
    const at = {
      vault: emulator.vaultUrl,
      secret,
      version,
      eventId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    };
    expect(accepted).toEqual([
      { ...at, kind: 'new version', at: expect.any(Number) },
      { ...at, kind: 'near expiry', at: expect.any(Number) },
      { ...at, kind: 'expired', at: expires },
    ]);
    expect(reports).toEqual([
      { kind: 'validated' },
      ...[1, 2, 3].map(() => ({ kind: 'accepted', events: 1, ignored: 0 })),
    ]);
    expect(emulator.subscriptions.deadLetters()).toEqual([]);
  });

  it('that can’t be stored come again', async () => {
    let away = true;
    const accept = async (events: readonly VaultEvent[]) => {
      if (away) throw new Error('the database is away');
      accepted.push(...events);
    };
    await serve(withEntra({ role: eventGridRole }), { accept });
    await subscribe({ schema, events: ['SecretNewVersionCreated'] });
    const printed = vi.spyOn(console, 'error');
    const { version } = await setSecret(90);
    expect(reports.at(-1)).toMatchObject({ kind: 'refused', status: 503 });
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
    away = false;
    await emulator.clock.advance(10_000);
    await emulator.subscriptions.settled();
    expect(accepted).toMatchObject([{ version }]);
  });

  it('end with word of it when the subscription is removed', async () => {
    await serve(withEntra());
    await subscribe({ schema });
    emulator.subscriptions.remove('to-keyturn');
    await emulator.subscriptions.settled();
    expect(reports.at(-1)).toEqual({ kind: 'subscription deleted', subscription: 'TO-KEYTURN' });
  });
});

describe('Event Grid with a token for somebody else', () => {
  it('gets no consent in its own schema', async () => {
    await serve(withEntra());
    const state = await subscribe({ audience: 'api://another' });
    expect(state.provisioningState).toBe('Failed');
    expect(reports).toMatchObject([{ kind: 'refused', status: 401 }]);
  });

  it('delivers no CloudEvents, although the handshake asks for no token', async () => {
    await serve(withEntra());
    const state = await subscribe({ schema: 'cloudEvents', audience: 'api://another' });
    expect(state.provisioningState).toBe('Succeeded');
    await setSecret(90);
    expect(accepted).toEqual([]);
    expect(emulator.subscriptions.deadLetters('to-keyturn').at(-1)).toMatchObject({
      event: { lastdeliveryoutcome: 'Unauthorized' },
    });
  });
});

describe('the handshake of CloudEvents', () => {
  beforeEach(() => serve(withKey));
  const ask = (headers: Record<string, string>) =>
    fetch(`${listening.url}/v1/events`, { method: 'OPTIONS', headers });

  it('needs no key, and tells Event Grid that it may deliver', async () => {
    const answer = await ask({
      'WebHook-Request-Origin': 'eventgrid.azure.net',
      'WebHook-Request-Rate': '120',
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('WebHook-Allowed-Origin')).toBe('eventgrid.azure.net');
    expect(answer.headers.get('WebHook-Allowed-Rate')).toBe('*');
    expect(await answer.text()).toBe('');
  });

  it('tells nobody else anything', async () => {
    for (const headers of [{}, { 'WebHook-Request-Origin': 'example.com' }]) {
      const answer = await ask(headers as Record<string, string>);
      expect([...answer.headers.keys()].filter((name) => name.startsWith('webhook'))).toEqual([]);
      expect(await answer.text()).toBe('');
    }
    expect(reports).toEqual([]);
  });
});

describe('a delivery with a key', () => {
  beforeEach(() => serve(withKey));

  it('is asked for the key before anything of it is read', async () => {
    for (const headers of [{}, { 'keyturn-webhook-key': 'wrong' }]) {
      const answer = await post('no JSON', headers as Record<string, string>);
      expect(answer.status).toBe(401);
      const text = await answer.text();
      expect(text).toMatch(/^\{"error":"[^"]+"\}$/);
      expect(text).not.toContain('wrong"');
    }
    expect(reports).toMatchObject([{ status: 401 }, { status: 401 }]);
  });

  it('has its question answered', async () => {
    const answer = await post(validation);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(await answer.json()).toEqual({ validationResponse: 'the-code' });
  });

  it('that is malformed is answered with what is wrong with it', async () => {
    const answer = await post('[]');
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({
      error: 'Not a delivery of Event Grid: the list of events is empty.',
    });
  });

  it('with foreign events alone is accepted, so that it does not come again', async () => {
    const answer = await post(
      validation.replace('EventGrid.SubscriptionValidationEvent', 'Storage.BlobCreated'),
    );
    expect(answer.status).toBe(202);
    expect(accepted).toEqual([]);
    expect(reports).toEqual([{ kind: 'accepted', events: 0, ignored: 1 }]);
  });

  it('of more than 1 MiB is refused, whether it tells its length or not', async () => {
    const body = ' '.repeat(1024 * 1024) + validation;
    expect((await post(body)).status).toBe(413);
    expect(await postInChunks(body)).toBe(413);
    expect(reports).toMatchObject([{ status: 413 }, { status: 413 }]);
    expect((await post(validation.padEnd(1024 * 1024))).status).toBe(200);
  });
});

describe('a delivery that is stored too slowly', () => {
  it('is answered in time, so that it comes again', async () => {
    await serve(withEntra(), { accept: () => new Promise(() => undefined), answerWithinMs: 30 });
    await subscribe();
    await setSecret(90);
    expect(reports.at(-1)).toMatchObject({ kind: 'refused', status: 503 });
  });
});

/** Without a content length. */
function postInChunks(body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'keyturn-webhook-key': 'the-key', 'transfer-encoding': 'chunked' };
    const posting = request(`${listening.url}/v1/events`, { method: 'POST', headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    posting.on('error', reject);
    posting.end(body);
  });
}
