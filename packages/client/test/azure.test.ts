import { SecretClient } from '@azure/keyvault-secrets';
import { startEmulator, type Emulator } from '@keyturn/emulator';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyVault, rotatorToken } from '../src/azure.ts';
import { openSecrets, SecretsError, type SecretVault } from '../src/index.ts';

let emulator: Emulator;
let vault: SecretVault;

beforeEach(async () => {
  emulator = await startEmulator({
    vaults: [{ name: 'local', secrets: [{ name: 'orders-db', value: 'hunter2' }] }],
  });
  const { credential, clientOptions } = emulator;
  vault = keyVault(emulator.vaultUrl, { credential, clientOptions });
});
afterEach(() => emulator.close());

/** What an application sees of a read that fails. */
async function failure(name = 'orders-db'): Promise<SecretsError> {
  const secrets = openSecrets({ vault, vaultTimeoutMs: 1_000 });
  const error: unknown = await secrets.get(name).catch((thrown: unknown) => thrown);
  await secrets.close();
  expect(error).toBeInstanceOf(SecretsError);
  return error as SecretsError;
}

test('a secret is read through the real SDK', async () => {
  const secret = await openSecrets({ vault }).get('orders-db');
  expect(secret.reveal()).toBe('hunter2');
  expect(secret.version).toMatch(/^[0-9a-f]{32}$/);
});

test('a bare SecretClient of the SDK will do as a vault', async () => {
  const client = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
  expect((await openSecrets({ vault: client }).get('orders-db')).reveal()).toBe('hunter2');
});

test('a name that is not there is one clear line', async () => {
  expect(await failure('missing')).toMatchObject({
    code: 'VAULT_NO_SECRET',
    message: 'Could not read the secret missing: there is none of that name. Check name and vault.',
  });
});

test('a disabled newest version is one clear line', async () => {
  const client = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
  await client.setSecret('orders-db', 'newer', { enabled: false });
  expect(await failure()).toMatchObject({
    code: 'VAULT_DISABLED',
    message:
      'Could not read the secret orders-db: its newest version is disabled. Enable it, or set a new one.',
  });
});

test.each([
  [403, undefined, 'VAULT_FORBIDDEN', undefined],
  [429, undefined, 'VAULT_THROTTLED', undefined],
  [429, 7, 'VAULT_THROTTLED', 7_000],
  [503, undefined, 'VAULT_UNREACHABLE', undefined],
])('an answer of %i (Retry-After %s) is %s', async (status, retryAfterSeconds, code, retryAfterMs) => {
  emulator.faults.inject({
    operation: 'getSecret',
    effect: { kind: 'status', status, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) },
  });
  expect(await failure()).toMatchObject({ code, retryAfterMs });
});

test('a vault that hangs, and one that hangs up, are unreachable', async () => {
  const undo = emulator.faults.inject({ operation: 'getSecret', effect: { kind: 'hang' } });
  expect(await failure()).toMatchObject({ code: 'VAULT_TIMEOUT' });
  undo();
  emulator.faults.inject({ operation: 'getSecret', effect: { kind: 'reset' } });
  expect(await failure()).toMatchObject({
    code: 'VAULT_UNREACHABLE',
    message: expect.stringContaining('ECONNRESET'),
  });
});

test("the SDK's error, with its request and token, is not passed on", async () => {
  emulator.faults.inject({ operation: 'getSecret', effect: { kind: 'status', status: 403 } });
  const { cause } = await failure();
  expect(cause).toMatchObject({ name: 'RestError', message: expect.stringContaining('403') });
  expect(cause).not.toHaveProperty('request');
});

test('a token for the rotator is kept until it is about to expire', async () => {
  let asked = 0;
  let livesMs = 3_600_000;
  const credential = {
    getToken: async (scope: string | string[]) => {
      asked += 1;
      return { token: `${String(scope)} ${asked}`, expiresOnTimestamp: Date.now() + livesMs };
    },
  };
  const token = rotatorToken('api://keyturn/.default', { credential });
  expect([await token(), await token()]).toEqual(['api://keyturn/.default 1', 'api://keyturn/.default 1']);
  livesMs = 60_000;
  const brief = rotatorToken('api://keyturn/.default', { credential });
  expect([await brief(), await brief()]).toEqual(['api://keyturn/.default 2', 'api://keyturn/.default 3']);
});
