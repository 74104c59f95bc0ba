import {
  AggregateAuthenticationError,
  AuthenticationError,
  CredentialUnavailableError,
} from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { inspect } from 'node:util';
import { startEmulator, type Emulator } from '@keyturn/emulator';
import { SecretValue } from '@keyturn/source';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { keyVault } from '../src/key-vault.ts';
import { RotatorError } from '../src/rotator-error.ts';
import { mayHaveTakenEffect, type Vault } from '../src/vault.ts';

const expiresOn = new Date('2030-01-01T00:00:00Z');
const published = { rotation: 'orders-db@v1', credential: 'b#1' };
let emulator: Emulator;
let vault: Vault;
let secret: string;
let secrets = 0;

beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(() => emulator.close());
beforeEach(async () => {
  const { vaultUrl: url, credential, clientOptions } = emulator;
  vault = keyVault({ url, credential, clientOptions, requestTimeoutMs: 1_000 });
  secrets += 1;
  secret = `orders-db-${secrets}`;
  await setByHand('planted-one', { contentType: 'text/plain', tags: { team: 'orders' } });
});
afterEach(() => emulator.faults.clear());

/** As a person sets a version in the portal. */
async function setByHand(
  value: string,
  more: { contentType?: string; tags?: Record<string, string>; enabled?: boolean } = {},
): Promise<string> {
  const client = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
  const { properties } = await client.setSecret(secret, value, more);
  return properties.version ?? '';
}

async function failure(doing: Promise<unknown>): Promise<RotatorError> {
  const error: unknown = await doing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RotatorError) return error;
  throw new Error('It did not fail as the vault does.', { cause: error });
}

describe('the vault', () => {
  it('publishes an enabled version with its tags, and keeps what people have put there', async () => {
    const before = await vault.current(secret);
    const set = await vault.publish(secret, new SecretValue('planted-two'), { expiresOn, tags: published });
    const current = await vault.current(secret);
    expect(current).toMatchObject({ version: set.version, enabled: true, tags: published });
    expect(current.value.equals(new SecretValue('planted-two'))).toBe(true);
    expect((await vault.read(secret, before.version)).equals(new SecretValue('planted-one'))).toBe(true);
    const client = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
    const { properties } = await client.getSecret(secret);
    expect(properties).toMatchObject({ contentType: 'text/plain', tags: { team: 'orders' }, expiresOn });
  });

  it('does not hand the marks of one version on to the next', async () => {
    await vault.publish(secret, new SecretValue('two'), {
      expiresOn,
      tags: { ...published, rolledBack: true },
    });
    await vault.publish(secret, new SecretValue('three'), { expiresOn, tags: { rotation: 'orders-db@v2' } });
    expect((await vault.current(secret)).tags).toEqual({ rotation: 'orders-db@v2' });
  });

  it('counts the tags of people’s own', async () => {
    const tags = { ...published, refusedAt: Date.UTC(2026, 0, 1) };
    await vault.tag(secret, (await vault.current(secret)).version, tags);
    expect((await vault.current(secret)).peoplesTags).toBe(1);
    expect((await vault.versions(secret)).map(({ peoplesTags }) => peoplesTags)).toEqual([1]);
  });

  it('is one, however its URL is written', () => {
    const { credential, vaultUrl } = emulator;
    const named = keyVault({ url: `${vaultUrl.toUpperCase()}/`, credential, requestTimeoutMs: 1_000 });
    expect(named.url).toBe(vault.url);
  });

  it('adds tags to a version, also as it disables it, and loses none', async () => {
    const { version } = await vault.current(secret);
    await vault.tag(secret, version, { credential: 'a' });
    await vault.publish(secret, new SecretValue('two'), { expiresOn, tags: published });
    const refusedAt = Date.UTC(2026, 0, 1, 12, 30, 15, 250);
    await vault.disable(secret, version, { refusedAt });
    const versions = await vault.versions(secret);
    expect(versions.find((one) => one.version === version)).toMatchObject({
      enabled: false,
      tags: { credential: 'a', refusedAt },
    });
    expect(versions).toHaveLength(2);
  });
});

describe('an answer of the vault', () => {
  it('that there is no such secret is not taken for anything else', async () => {
    expect(await failure(vault.current('nowhere'))).toMatchObject({ code: 'VAULT_NO_SECRET' });
  });

  it('that the newest version is disabled is not taken for absence', async () => {
    await setByHand('two', { enabled: false });
    expect(await failure(vault.current(secret))).toMatchObject({ code: 'VAULT_DISABLED' });
  });

  it.each([
    [401, 'VAULT_FORBIDDEN'],
    [403, 'VAULT_FORBIDDEN'],
    [409, 'VAULT_UNEXPECTED'],
    [429, 'VAULT_THROTTLED'],
    [500, 'VAULT_UNREACHABLE'],
    [503, 'VAULT_UNREACHABLE'],
  ])('of %i is %s', async (status, code) => {
    emulator.faults.inject({ operation: 'getSecret', effect: { kind: 'status', status } });
    const error = await failure(vault.current(secret));
    expect(error).toMatchObject({ code, hint: expect.any(String) });
    expect(error.message).toContain(secret);
  });

  it('that was lost on the way may have taken effect, and did', async () => {
    emulator.faults.inject({ operation: 'setSecret', times: 1, effect: { kind: 'lostResponse' } });
    const publication = vault.publish(secret, new SecretValue('two'), { expiresOn, tags: published });
    const error = await failure(publication);
    expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE' });
    expect(mayHaveTakenEffect(error)).toBe(true);
    expect((await vault.versions(secret)).filter(({ tags }) => tags.rotation)).toHaveLength(1); // no silent repetition
  });

  it('that never comes is given up', async () => {
    emulator.faults.inject({ operation: 'getSecret', effect: { kind: 'hang' } });
    const error = await failure(vault.current(secret));
    expect(error).toMatchObject({
      code: 'VAULT_UNREACHABLE',
      message: expect.stringContaining('within 1 s'),
    });
  });

  it('that is negative is known not to have taken effect', async () => {
    emulator.faults.inject({ operation: 'setSecret', effect: { kind: 'status', status: 403 } });
    const publication = vault.publish(secret, new SecretValue('two'), { expiresOn, tags: published });
    expect(mayHaveTakenEffect(await failure(publication))).toBe(false);
    expect(await vault.versions(secret)).toHaveLength(1);
  });

  it.each<[string, Parameters<Emulator['faults']['inject']>[0]['effect']]>([
    ['a refusal', { kind: 'status', status: 400 }],
    ['an overload', { kind: 'status', status: 503 }],
    ['a lost answer', { kind: 'lostResponse' }],
    ['a cut connection', { kind: 'reset' }],
  ])('%s becomes an error that holds no value and no request', async (_what, effect) => {
    emulator.faults.inject({ operation: 'setSecret', effect });
    const planted = new SecretValue('planted-value');
    const error = await failure(vault.publish(secret, planted, { expiresOn, tags: published }));
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toMatch(
      /planted-value|Bearer|authorization/i,
    );
    expect(error.cause).toBeUndefined();
  });
});

describe('a vault that can’t be found', () => {
  it('is told from one that says no', async () => {
    const url = 'https://localhost:1';
    const nowhere = keyVault({ url, credential: emulator.credential, requestTimeoutMs: 1_000 });
    expect(await failure(nowhere.current(secret))).toMatchObject({ code: 'VAULT_UNREACHABLE' });
  });

  it.each<[string, () => Error, string]>([
    ['throttles', () => new AuthenticationError(429, '{}'), 'VAULT_THROTTLED'],
    ['is overloaded', () => new AuthenticationError(503, '{}'), 'VAULT_UNREACHABLE'],
    ['says no', () => new AuthenticationError(400, '{}'), 'VAULT_FORBIDDEN'],
    [
      'is away',
      () => new CredentialUnavailableError('none', { cause: { errorCode: 'network_error' } }),
      'VAULT_UNREACHABLE',
    ],
    [
      'throttles, last in a chain',
      () =>
        new AggregateAuthenticationError([
          new CredentialUnavailableError('none'),
          new CredentialUnavailableError('none', { cause: { name: 'ServerError', status: 429 } }),
        ]),
      'VAULT_THROTTLED',
    ],
  ])('is told from an identity endpoint that %s', async (_what, thrown, code) => {
    const credential = { getToken: () => Promise.reject(thrown()) };
    const { vaultUrl: url, clientOptions } = emulator;
    const asked = keyVault({ url, credential, clientOptions, requestTimeoutMs: 1_000 });
    expect(await failure(asked.current(secret))).toMatchObject({ code, hint: expect.any(String) });
  });

  it('is told from an identity that is missing', async () => {
    const credential = { getToken: () => Promise.reject(new CredentialUnavailableError('none')) };
    const { vaultUrl: url, clientOptions } = emulator;
    const anonymous = keyVault({ url, credential, clientOptions, requestTimeoutMs: 1_000 });
    const error = await failure(anonymous.current(secret));
    expect(error).toMatchObject({ code: 'VAULT_FORBIDDEN' });
    expect(error.hint).toContain('az login');
  });
});
