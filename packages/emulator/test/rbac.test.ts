import { SecretClient } from '@azure/keyvault-secrets';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startEmulator, type Emulator } from '../src/index.ts';
import { collect } from './collect.ts';

let vault: Emulator;
let administrator: SecretClient;

beforeEach(async () => {
  vault = await startEmulator({
    vaults: [{ name: 'orders', secrets: [{ name: 'stripe-key', value: 'sk_1' }] }, { name: 'billing' }],
    identities: [
      { name: 'administrator', systemAssigned: true, roles: [{ role: 'Key Vault Administrator' }] },
      { name: 'rotator', roles: [{ role: 'Key Vault Secrets Officer', scope: 'orders' }] },
      { name: 'orders-api', roles: [{ role: 'Key Vault Secrets User', scope: 'orders/stripe-key' }] },
      { name: 'reader', roles: [{ role: 'Key Vault Reader', scope: 'orders' }] },
      { name: 'nobody' },
    ],
  });
  administrator = as('administrator');
  await administrator.setSecret('other', 'x');
});
afterEach(() => vault.close());

function as(name: string, vaultName = 'orders'): SecretClient {
  const { credential } = vault.identities.get(name);
  return new SecretClient(`https://${vaultName}.vault.azure.net`, credential, vault.clientOptions);
}

const forbidden = (action: string, resource: string) => ({
  statusCode: 403,
  code: 'Forbidden',
  details: { error: { innerError: { code: 'ForbiddenByRbac' } } },
  message: expect.stringMatching(
    new RegExp(`Action: 'Microsoft.KeyVault/vaults/secrets/${action}'\\s+Resource: '[^']*${resource}'`),
  ) as string,
});

describe('roles', () => {
  test('a user of one secret reads that one and no other, and writes none', async () => {
    const user = as('orders-api');
    expect((await user.getSecret('Stripe-Key')).value).toBe('sk_1');
    await expect(user.getSecret('other')).rejects.toMatchObject(
      forbidden('getSecret/action', 'vaults/orders/secrets/other'),
    );
    await expect(user.setSecret('stripe-key', 'sk_2')).rejects.toMatchObject(
      forbidden('setSecret/action', 'secrets/stripe-key'),
    );
    await expect(collect(user.listPropertiesOfSecrets())).rejects.toMatchObject({ statusCode: 403 });
    expect(await collect(user.listPropertiesOfSecretVersions('stripe-key'))).toHaveLength(1);
  });

  test('an officer of one vault does everything there and nothing elsewhere', async () => {
    const officer = as('rotator');
    await officer.setSecret('new', 'x');
    await officer.updateSecretProperties('new', '', { enabled: false });
    await (await officer.beginDeleteSecret('new', { intervalInMs: 1 })).pollUntilDone();
    await (
      await officer.beginRecoverDeletedSecret('new', { intervalInMs: 1 })
    )
      .pollUntilDone()
      .catch(() => {});
    await (await officer.beginDeleteSecret('stripe-key', { intervalInMs: 1 })).pollUntilDone();
    await officer.purgeDeletedSecret('stripe-key');
    await expect(as('rotator', 'billing').setSecret('new', 'x')).rejects.toMatchObject(
      forbidden('setSecret/action', 'vaults/billing/secrets/new'),
    );
  });

  test('a reader sees names and no values', async () => {
    const reader = as('reader');
    expect((await collect(reader.listPropertiesOfSecrets())).map(({ name }) => name)).toEqual([
      'other',
      'stripe-key',
    ]);
    await expect(reader.getSecret('other')).rejects.toMatchObject(
      forbidden('getSecret/action', 'secrets/other'),
    );
  });

  test('an identity without a role may do nothing, and learns nothing of what is there', async () => {
    for (const name of ['other', 'no-such-secret'])
      await expect(as('nobody').getSecret(name)).rejects.toMatchObject(
        forbidden('getSecret/action', `secrets/${name}`),
      );
  });

  test('roles are given and taken while the emulator runs', async () => {
    vault.identities.assign('nobody', { role: 'Key Vault Secrets User', scope: 'orders' });
    expect((await as('nobody').getSecret('other')).value).toBe('x');
    vault.identities.unassign('nobody', { role: 'Key Vault Secrets User', scope: 'orders' });
    await expect(as('nobody').getSecret('other')).rejects.toMatchObject({ statusCode: 403 });
  });

  test('an identity is added while the emulator runs', async () => {
    vault.identities.add({
      name: 'late',
      roles: [{ role: 'Key Vault Secrets User', scope: 'orders/other' }],
    });
    expect((await as('late').getSecret('other')).value).toBe('x');
  });

  test.each([
    ['an unknown role', { name: 'x', roles: [{ role: 'Owner' }] }],
    ['a scope with too many parts', { name: 'x', roles: [{ role: 'Key Vault Reader', scope: 'a/b/c' }] }],
  ])('%s is refused', (_, identity) => {
    expect(() => vault.identities.add(identity as { name: string })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
  });
});

describe('the audit log', () => {
  test('it says who was refused what', async () => {
    await as('nobody')
      .getSecret('other')
      .catch(() => {});
    const refused = vault.audit.events().at(-1);
    const { objectId, clientId } = vault.identities.get('nobody');
    expect(refused).toMatchObject({
      operationName: 'SecretGet',
      resultSignature: 'Forbidden',
      identity: {
        claim: {
          'http://schemas.microsoft.com/identity/claims/objectidentifier': objectId,
          appid: clientId,
        },
      },
      properties: {
        isRbacAuthorized: false,
        httpStatusCode: 403,
        id: 'https://orders.vault.azure.net/secrets/other',
      },
    });
  });
});

test('a fault may hit one identity only', async () => {
  vault.faults.inject({
    operation: 'getSecret',
    identity: 'orders-api',
    effect: { kind: 'status', status: 500 },
  });
  expect((await administrator.getSecret('stripe-key')).value).toBe('sk_1');
  const { credential } = vault.identities.get('orders-api');
  const impatient = new SecretClient('https://orders.vault.azure.net', credential, {
    ...vault.clientOptions,
    retryOptions: { maxRetries: 0 },
  });
  await expect(impatient.getSecret('stripe-key')).rejects.toMatchObject({ statusCode: 500 });
});

test('a vault that isn’t there says which ones are', async () => {
  await expect(as('administrator', 'elsewhere').getSecret('x')).rejects.toMatchObject({
    statusCode: 421,
    message: expect.stringContaining(
      'https://orders.vault.azure.net, https://billing.vault.azure.net',
    ) as string,
  });
});
