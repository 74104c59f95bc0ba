import { SecretClient } from '@azure/keyvault-secrets';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startEmulator, type Emulator } from '../src/index.ts';

let vault: Emulator;
let client: SecretClient;

beforeEach(async () => {
  vault = await startEmulator({ vaults: [{ name: 'local', secrets: [{ name: 'key', value: 'one' }] }] });
  client = new SecretClient(vault.vaultUrl, vault.credential, {
    ...vault.clientOptions,
    retryOptions: { maxRetries: 0 },
  });
});
afterEach(() => vault.close());

/** What curl would do. */
async function admin(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const answer = await fetch(new URL(path, vault.adminUrl), {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text === '' ? undefined : (JSON.parse(text) as unknown) };
}

test('it says where everything is', async () => {
  expect(await admin('GET', '/')).toMatchObject({
    status: 200,
    json: { vaultUrl: vault.vaultUrl, vaultUrls: [vault.vaultUrl], directUrl: vault.directUrl },
  });
});

test('the clock is shown, set, advanced and stopped', async () => {
  await admin('PUT', '/clock', { running: false });
  await admin('PUT', '/clock', { now: '2027-01-01T00:00:00Z' });
  expect(await admin('PUT', '/clock', { advanceMs: 60_000 })).toEqual({
    status: 200,
    json: { now: '2027-01-01T00:01:00.000Z' },
  });
  expect(await admin('GET', '/clock')).toEqual({ status: 200, json: { now: '2027-01-01T00:01:00.000Z' } });
  await admin('PUT', '/clock', { running: true });
  await expect.poll(() => vault.clock.now().getTime()).toBeGreaterThan(Date.parse('2027-01-01T00:01:00Z'));
});

test('a fault is injected and taken out again', async () => {
  const fault = { operation: 'getSecret', effect: { kind: 'status', status: 500 } };
  const { status, json } = await admin('POST', '/faults', fault);
  expect(status).toBe(201);
  await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 500 });
  await admin('DELETE', `/faults/${(json as { id: number }).id}`);
  expect((await client.getSecret('key')).value).toBe('one');
  await admin('POST', '/faults', fault);
  await admin('DELETE', '/faults');
  expect((await client.getSecret('key')).value).toBe('one');
});

test('identities are added and given roles, with the environment that acts as them', async () => {
  const added = await admin('POST', '/identities', {
    name: 'api',
    federatedSubject: 'system:serviceaccount:a:b',
  });
  expect(added).toMatchObject({
    status: 201,
    json: { environment: { IDENTITY_ENDPOINT: vault.identityEndpoint } },
  });
  const api = new SecretClient(vault.vaultUrl, vault.identities.get('api').credential, vault.clientOptions);
  await expect(api.getSecret('key')).rejects.toMatchObject({ statusCode: 403 });
  const role = { role: 'Key Vault Secrets User', scope: 'local/key' };
  expect((await admin('POST', '/identities/api/roles', role)).status).toBe(204);
  expect((await api.getSecret('key')).value).toBe('one');
  await admin('DELETE', '/identities/api/roles', role);
  await expect(api.getSecret('key')).rejects.toMatchObject({ statusCode: 403 });
  expect(await admin('POST', '/identities/api/workload')).toMatchObject({
    json: { AZURE_CLIENT_ID: vault.identities.get('api').clientId },
  });
  expect(await admin('GET', '/identities')).toMatchObject({ json: [{ name: 'default' }, { name: 'api' }] });
});

test('subscriptions are added, listed and removed', async () => {
  const endpoint = 'http://127.0.0.1:1/events';
  expect(await admin('POST', '/subscriptions', { name: 'mine', endpoint })).toMatchObject({
    status: 201,
    json: { name: 'mine', provisioningState: 'Failed' },
  });
  expect(await admin('GET', '/subscriptions')).toMatchObject({ json: [{ endpoint }] });
  expect((await admin('DELETE', '/subscriptions/mine')).status).toBe(204);
  expect(await admin('GET', '/dead-letters')).toEqual({ status: 200, json: [] });
});

test('the calls of the vault are shown', async () => {
  await client.getSecret('key');
  const { json } = await admin('GET', '/audit');
  expect((json as { operationName: string }[]).map(({ operationName }) => operationName)).toEqual([
    'Authentication',
    'SecretGet',
  ]);
});

test.each([
  ['no JSON', '/faults', 'nonsense'],
  ['a fault that is none', '/faults', { operation: 'getSecret' }],
  ['a role for nobody', '/identities/nobody/roles', { role: 'Key Vault Reader' }],
  ['an endpoint that is none', '/subscriptions', { endpoint: 'nowhere' }],
])('%s is 400 and says why', async (_, path, body) => {
  const { status, json } = await admin('POST', path, body);
  expect(status).toBe(400);
  expect((json as { error: string }).error.length).toBeGreaterThan(20);
});

test('a path that isn’t there says which ones are', async () => {
  expect(await admin('GET', '/nowhere')).toMatchObject({
    status: 404,
    json: { error: expect.stringContaining('/clock') as string },
  });
});

test('a web page cannot use it', async () => {
  expect((await admin('DELETE', '/faults', undefined, { Origin: 'https://example.com' })).status).toBe(403);
});
