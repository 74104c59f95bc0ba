import { SecretClient } from '@azure/keyvault-secrets';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startEmulator, type Emulator } from '../src/index.ts';
import { collect } from './collect.ts';
import { call, nextLink } from './raw-call.ts';

// What takes its time on Azure: deletions, recoveries, lists whose pages are empty, and callers that are too fast.

const delayMs = 5_000;
const v = 'api-version=7.6';

let vault: Emulator;
let client: SecretClient;

beforeEach(async () => {
  vault = await startEmulator({
    softDelete: { retentionDays: 7, delayMs },
    emptyPages: true,
    throttling: 'on',
  });
  vault.clock.stop();
  client = new SecretClient(vault.vaultUrl, vault.credential, {
    ...vault.clientOptions,
    retryOptions: { maxRetries: 0 },
  });
});
afterEach(() => vault.close());

const conflict = (code: string) => ({
  statusCode: 409,
  code: 'Conflict',
  details: { error: { innerError: { code } } },
});

test('a deletion gets through after a while: until then the secret is neither here nor among the deleted', async () => {
  await client.setSecret('key', 'one');
  const answer = await call(vault, `/secrets/key?${v}`, { method: 'DELETE' });
  expect(answer).toMatchObject({
    status: 200,
    json: { attributes: { recoverableDays: 7, recoveryLevel: 'CustomizedRecoverable+Purgeable' } },
  });
  expect(answer.json).not.toHaveProperty('value');

  await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 404 });
  await expect(client.getDeletedSecret('key')).rejects.toMatchObject({ statusCode: 404 });
  expect(await collect(client.listDeletedSecrets())).toEqual([]);
  await expect(client.setSecret('key', 'two')).rejects.toMatchObject(conflict('ObjectIsBeingDeleted'));
  await expect(client.purgeDeletedSecret('key')).rejects.toMatchObject(conflict('ObjectIsBeingDeleted'));

  await vault.clock.advance(delayMs);
  expect(await client.getDeletedSecret('key')).toMatchObject({ name: 'key' });
  await expect(client.setSecret('key', 'two')).rejects.toMatchObject(
    conflict('ObjectIsDeletedButRecoverable'),
  );
});

test('a recovery gets through after a while', async () => {
  await client.setSecret('key', 'one');
  await call(vault, `/secrets/key?${v}`, { method: 'DELETE' });
  await vault.clock.advance(delayMs);
  expect((await call(vault, `/deletedsecrets/key/recover?${v}`, { method: 'POST' })).status).toBe(200);

  await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 404 });
  await expect(client.setSecret('key', 'two')).rejects.toMatchObject(conflict('ObjectIsBeingRecovered'));
  expect(await collect(client.listPropertiesOfSecrets())).toEqual([]);

  await vault.clock.advance(delayMs);
  expect((await client.getSecret('key')).value).toBe('one');
});

test('the client library’s pollers wait for both', async () => {
  vault.clock.start();
  await client.setSecret('key', 'one');
  const deleting = await client.beginDeleteSecret('key', { intervalInMs: 1 });
  const deleted = deleting.pollUntilDone();
  await vault.clock.advance(delayMs);
  expect(await deleted).toMatchObject({ name: 'key' });
  const recovering = await client.beginRecoverDeletedSecret('key', { intervalInMs: 1 });
  const recovered = recovering.pollUntilDone();
  await vault.clock.advance(delayMs);
  expect(await recovered).toMatchObject({ name: 'key' });
});

test('after its seven days a deleted secret is gone', async () => {
  await client.setSecret('key', 'one');
  await call(vault, `/secrets/key?${v}`, { method: 'DELETE' });
  await vault.clock.advance(7 * 86_400_000 + 1_000);
  await expect(client.getDeletedSecret('key')).rejects.toMatchObject({ statusCode: 404 });
  await client.setSecret('key', 'two');
});

test('every list begins with an empty page that has a nextLink', async () => {
  await client.setSecret('key', 'one');
  const first = await call(vault, `/secrets?${v}&maxresults=5`);
  expect(first.json).toMatchObject({ value: [] });
  const second = await call(vault, nextLink(first));
  expect(second.json).toMatchObject({ value: [{ id: `${vault.vaultUrl}/secrets/key` }], nextLink: null });
  expect((await collect(client.listPropertiesOfSecrets())).map(({ name }) => name)).toEqual(['key']);
});

test('the 301st new version within ten seconds is throttled, and only new versions are', async () => {
  for (let made = 0; made < 300; made += 1) await client.setSecret(`key-${made % 10}`, 'x');
  await expect(client.setSecret('key', 'x')).rejects.toMatchObject({
    statusCode: 429,
    message: expect.stringContaining('VaultRequestTypeLimitReached') as string,
  });
  expect((await client.getSecret('key-1')).value).toBe('x');
  await vault.clock.advance(10_000);
  await client.setSecret('key', 'x');
});
