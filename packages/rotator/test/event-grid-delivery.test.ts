import { describe, expect, it } from 'vitest';
import { readDelivery } from '../src/triggers/event-grid.ts';

const version = 'ee059b2bb5bc48398a53b168c6cdcb10';

/** What Azure documents for the event of a secret, in Event Grid's schema. */
function eventGridEvent(more: object = {}, data: object = {}): Record<string, unknown> {
  return {
    id: '00eccf70-95a7-4e7c-8299-2eb17ee9ad64',
    topic: '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/sample-kv',
    subject: 'newsecret',
    eventType: 'Microsoft.KeyVault.SecretNearExpiry',
    eventTime: '2019-07-25T01:08:33.1036736Z',
    data: {
      Id: `https://sample-kv.vault.azure.net/secrets/newsecret/${version}`,
      VaultName: 'sample-kv',
      ObjectType: 'Secret',
      ObjectName: 'newsecret',
      Version: version,
      NBF: null,
      EXP: 1559082102,
      ...data,
    },
    dataVersion: '1',
    metadataVersion: '1',
    ...more,
  };
}

function cloudEvent(more: object = {}): Record<string, unknown> {
  const { id, topic, subject, eventType, eventTime, data } = eventGridEvent();
  return { id, source: topic, specversion: '1.0', type: eventType, subject, time: eventTime, data, ...more };
}

const read = (body: unknown) => readDelivery(JSON.stringify(body));

const nearExpiry = {
  kind: 'near expiry',
  vault: 'https://sample-kv.vault.azure.net',
  secret: 'newsecret',
  version,
  at: Date.UTC(2019, 6, 25, 1, 8, 33, 103),
  eventId: '00eccf70-95a7-4e7c-8299-2eb17ee9ad64',
};

describe('a delivery', () => {
  it.each([
    ['in Event Grid’s schema', [eventGridEvent()]],
    ['of one CloudEvent', cloudEvent()],
    ['of a list of CloudEvents', [cloudEvent()]],
  ])('%s is read', (_what, body) => {
    expect(read(body)).toEqual({ kind: 'events', events: [nearExpiry], ignored: 0 });
  });

  it('tells the three kinds of events apart', () => {
    const types = ['SecretNewVersionCreated', 'SecretNearExpiry', 'SecretExpired'];
    const body = types.map((type) => eventGridEvent({ eventType: `Microsoft.KeyVault.${type}` }));
    expect(read(body)).toMatchObject({
      events: [{ kind: 'new version' }, { kind: 'near expiry' }, { kind: 'expired' }],
    });
  });

  it('may have the shape of the older sample in the documentation', () => {
    const data = {
      Id: `https://sample-kv.vault.azure.net/secrets/newsecret/${version}`,
      vaultName: 'sample-kv',
      objectType: 'Secret',
      'objectName ': 'newsecret',
      version: ` ${version}`,
      nbf: '1559081980',
      exp: '1559082102',
    };
    expect(read([eventGridEvent({ data })])).toMatchObject({ events: [nearExpiry] });
  });

  it('is taken without what nobody here waits for, which is counted', () => {
    const body = [
      eventGridEvent(),
      eventGridEvent({ eventType: 'Microsoft.KeyVault.KeyNearExpiry' }, { ObjectType: 'Key' }),
      eventGridEvent({}, { ObjectType: 'Certificate', ObjectName: undefined }),
      eventGridEvent({ eventType: 'Microsoft.Storage.BlobCreated', data: 'anything' }),
      eventGridEvent({ eventType: 'constructor' }),
    ];
    expect(read(body)).toEqual({ kind: 'events', events: [nearExpiry], ignored: 4 });
  });

  it.each<[string, unknown, string]>([
    ['without a type', [eventGridEvent({ eventType: undefined })], 'event 0: eventType'],
    ['without an id', cloudEvent({ id: undefined }), 'event 0: id'],
    ['of CloudEvents of another version', cloudEvent({ specversion: '2.0' }), 'event 0: specversion'],
    ['without its data', [eventGridEvent({ data: undefined })], 'event 0: data.id is missing'],
    ['without its version', [eventGridEvent({}, { Version: null })], 'event 0: data.version is missing'],
    ['with a name that is none', [eventGridEvent({}, { ObjectName: '../x' })], 'event 0: data.objectname'],
    ['with an address that is none', [eventGridEvent({}, { Id: 'http://[' })], 'event 0: data.id'],
    [
      'with a port that is none',
      [eventGridEvent({}, { Id: 'https://a:99999/secrets/x' })],
      'event 0: data.id',
    ],
    ['with a time that is none', [eventGridEvent({ eventTime: 'noon' })], 'event 0: its time'],
    ['with an id that can’t be printed', [eventGridEvent({ id: 'a\u0000' })], 'event 0: id'],
    ['with one bad event among good ones', [eventGridEvent(), { id: '1' }], 'event 1: eventType'],
    ['that is empty', [], 'the list of events is empty'],
    ['of something else', ['event'], 'event 0'],
  ])('%s is malformed, and the field named', (_what, body, field) => {
    expect(read(body)).toEqual({ kind: 'malformed', reason: expect.stringContaining(field) });
  });

  it('that is no JSON is malformed', () => {
    expect(readDelivery('{')).toEqual({ kind: 'malformed', reason: 'the body is no JSON' });
  });

  it('that can’t be read says nothing of what is in it', () => {
    const body = [eventGridEvent({}, { Version: 'planted secret text' })];
    expect(JSON.stringify(read(body))).not.toContain('planted');
  });

  it('with the question of Event Grid holds the answer', () => {
    const eventType = 'Microsoft.EventGrid.SubscriptionValidationEvent';
    const data = { validationCode: '512d38b6', validationUrl: 'https://rp-eastus.eventgrid.azure.net' };
    expect(read([eventGridEvent({ eventType, data })])).toEqual({ kind: 'validation', code: '512d38b6' });
    expect(read([eventGridEvent({ eventType, data: {} })])).toMatchObject({
      kind: 'malformed',
      reason: expect.stringContaining('data.validationCode'),
    });
  });
});
