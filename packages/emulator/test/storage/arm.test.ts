import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inMemory, openChangeLog } from '../../src/change-log.ts';
import { openStorageAccounts } from '../../src/storage/storage-accounts.ts';
import { startCloud, type Answer, type Cloud } from '../entra/cloud.ts';

const arm = 'https://management.azure.com';
const startAt = new Date('2027-01-01T00:00:00.000Z');
const settings = {
  identities: [
    { name: 'rotator', roles: [{ role: 'Storage Account Key Operator Service Role' as const }] },
    {
      name: 'orders only',
      roles: [{ role: 'Storage Account Key Operator Service Role' as const, scope: 'orders' }],
    },
    { name: 'nobody', roles: [{ role: 'Key Vault Administrator' as const }] },
  ],
  storageAccounts: [{ name: 'orders' }, { name: 'billing' }],
};
let cloud: Cloud;
let token: string;

beforeEach(async () => {
  cloud = await startCloud(settings, { startAt });
  token = await cloud.tokenOf('rotator', arm);
});
afterEach(() => cloud[Symbol.asyncDispose]());

const idOf = (account: string) =>
  `/subscriptions/s-1/resourceGroups/shop/providers/Microsoft.Storage/storageAccounts/${account}`;
const version = '?api-version=2025-01-01';

const call = (
  path: string,
  method = 'POST',
  body?: string,
  as: string | undefined = token,
): Promise<Answer> =>
  cloud.call(`${arm}${path}`, {
    method,
    token: as,
    ...(body === undefined ? {} : { body, headers: { 'Content-Type': 'application/json' } }),
  });

const listKeys = (account = 'orders', as = token) =>
  call(`${idOf(account)}/listKeys${version}`, 'POST', undefined, as);

const regenerate = (keyName: string, account = 'orders', as = token) =>
  call(`${idOf(account)}/regenerateKey${version}`, 'POST', JSON.stringify({ keyName }), as);

function expectRefusal(answer: Answer, status: number, code: string): void {
  expect(answer.status).toBe(status);
  expect(answer.json).toEqual({ error: { code, message: expect.any(String) as string } });
}

interface Key {
  readonly keyName: string;
  readonly value: string;
}
const keysOf = ({ json }: Answer) => json['keys'] as unknown as readonly Key[];

describe('listKeys', () => {
  test('tells both keys, 64 bytes each, and when they were made', async () => {
    const answer = await listKeys();
    expect(answer.status).toBe(200);
    const creationTime = expect.stringMatching(/^2027-01-01T00:00:/) as string;
    expect(answer.json['keys']).toMatchObject([
      { keyName: 'key1', permissions: 'FULL', creationTime },
      { keyName: 'key2', permissions: 'FULL', creationTime },
    ]);
    for (const { value } of keysOf(answer)) expect(Buffer.from(value, 'base64')).toHaveLength(64);
  });

  test('accounts have keys of their own', async () => {
    const all = [...keysOf(await listKeys()), ...keysOf(await listKeys('billing'))];
    expect(new Set(all.map(({ value }) => value)).size).toBe(4);
  });

  test('paths are the same in whichever case', async () => {
    const path = idOf('ORDERS').replace('resourceGroups', 'resourcegroups');
    expect(keysOf(await call(`${path}/listkeys${version}`))).toEqual(keysOf(await listKeys()));
  });
});

describe('regenerateKey', () => {
  test('replaces one key, leaves the other, and tells both', async () => {
    const before = keysOf(await listKeys());
    await cloud.clock.advance(24 * 60 * 60 * 1000);
    const after = keysOf(await regenerate('key1'));
    expect(after[0]?.value).not.toBe(before[0]?.value);
    expect(after[0]).toMatchObject({ creationTime: expect.stringMatching(/^2027-01-02T/) as string });
    expect(after[1]).toEqual(before[1]);
    expect(keysOf(await listKeys())).toEqual(after);
  });

  test('another key name, or a body without one, is 400 and changes nothing', async () => {
    const before = keysOf(await listKeys());
    expectRefusal(await regenerate('key3'), 400, 'InvalidValuesForRequestParameters');
    const path = `${idOf('orders')}/regenerateKey${version}`;
    expectRefusal(await call(path, 'POST', '{}'), 400, 'InvalidRequestContent');
    expectRefusal(await call(path, 'POST', '{'), 400, 'InvalidRequestContent');
    expect(keysOf(await listKeys())).toEqual(before);
  });
});

test('an account tells where its blobs are and how old its keys are, and no key', async () => {
  const answer = await call(`${idOf('orders')}${version}`, 'GET');
  expect(answer.json).toMatchObject({
    id: idOf('orders'),
    name: 'orders',
    type: 'Microsoft.Storage/storageAccounts',
    properties: {
      primaryEndpoints: { blob: 'https://orders.blob.core.windows.net/' },
      keyCreationTime: { key1: expect.any(String) as string, key2: expect.any(String) as string },
    },
  });
  for (const { value } of keysOf(await listKeys())) expect(answer.text).not.toContain(value);
});

describe('what is refused', () => {
  test('an api-version is required, and is a date', async () => {
    const path = `${idOf('orders')}/listKeys`;
    expectRefusal(await call(path), 400, 'MissingApiVersionParameter');
    expectRefusal(await call(`${path}?api-version=7.4`), 400, 'InvalidApiVersionParameter');
    expect((await call(`${path}?api-version=2024-01-01-preview`)).status).toBe(200);
  });

  test('a token is needed, made out to ARM and valid', async () => {
    const missing = await cloud.call(`${arm}${idOf('orders')}/listKeys${version}`, { method: 'POST' });
    expectRefusal(missing, 401, 'AuthenticationFailed');
    expect(missing.headers['www-authenticate']).toMatch(
      /^Bearer authorization_uri="https:\/\/login\.windows\.net\//,
    );
    const graph = await cloud.tokenOf('rotator', 'https://graph.microsoft.com');
    expectRefusal(await listKeys('orders', graph), 401, 'InvalidAuthenticationTokenAudience');
    const forged = `${token.slice(0, token.lastIndexOf('.'))}.${'A'.repeat(342)}`;
    expectRefusal(await listKeys('orders', forged), 401, 'InvalidAuthenticationToken');
  });

  test.each(['', '/'])('the older audience, and either with “%s” at its end, will do', async (end) => {
    for (const audience of [arm, 'https://management.core.windows.net'])
      expect((await listKeys('orders', await cloud.tokenOf('rotator', audience + end))).status).toBe(200);
  });

  test('without the role it is 403, what isn’t there too, and nothing changes', async () => {
    const nobody = await cloud.tokenOf('nobody', arm);
    const before = keysOf(await listKeys());
    for (const answer of [
      await listKeys('orders', nobody),
      await regenerate('key1', 'orders', nobody),
      await call(`${idOf('orders')}${version}`, 'GET', undefined, nobody),
      await listKeys('unknown', nobody),
    ])
      expectRefusal(answer, 403, 'AuthorizationFailed');
    expect(keysOf(await listKeys())).toEqual(before);
  });

  test('a role for one account is for that one only', async () => {
    const one = await cloud.tokenOf('orders only', arm);
    expect((await regenerate('key2', 'orders', one)).status).toBe(200);
    expectRefusal(await regenerate('key2', 'billing', one), 403, 'AuthorizationFailed');
  });

  test('an unknown account, path or method', async () => {
    expectRefusal(await listKeys('unknown'), 404, 'ResourceNotFound');
    expectRefusal(await call(`${idOf('orders')}/listAccountSas${version}`), 404, 'InvalidResourceType');
    expectRefusal(await call(`/subscriptions${version}`, 'GET'), 404, 'InvalidResourceType');
    expectRefusal(await call(`${idOf('orders')}/listKeys${version}`, 'GET'), 405, 'HttpMethodNotAllowed');
  });
});

test('keys survive a restart, those of an account that is left out for a time too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'accounts-test-'));
  const open = (names: readonly string[]) => {
    const log = openChangeLog(folder);
    const accounts = openStorageAccounts({
      log,
      settings: names.map((name) => ({ name })),
      now: () => startAt,
    });
    log.compact();
    return { log, accounts };
  };
  const first = open(['orders', 'billing']);
  first.accounts.regenerate('orders', 'key1');
  const kept = [first.accounts.keysOf('orders'), first.accounts.keysOf('billing')];
  first.log.close();

  const second = open(['orders']);
  expect(second.accounts.keysOf('orders')).toEqual(kept[0]);
  expect(second.accounts.keysOf('billing')).toBeUndefined();
  second.log.close();

  const third = open(['orders', 'billing']);
  expect([third.accounts.keysOf('orders'), third.accounts.keysOf('billing')]).toEqual(kept);
  third.log.close();
  await rm(folder, { recursive: true });
});

test('in memory every start makes new keys', () => {
  const open = () =>
    openStorageAccounts({ log: inMemory, settings: [{ name: 'orders' }], now: () => startAt });
  expect(open().keysOf('orders')).not.toEqual(open().keysOf('orders'));
});
