import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt } from 'jose';
import { expect, test } from 'vitest';
import { createTokens, type Tokens } from '../../src/identity/tokens.ts';
import { signingKey, tenantId } from './cloud.ts';

const caller = { objectId: 'o-1', clientId: 'c-1' };
const vault = 'https://vault.azure.net';
const start = new Date('2027-01-01T00:00:00Z').getTime();

async function tokensAt(given: { now?: () => Date; key?: string; tenantId?: string } = {}): Promise<Tokens> {
  const now = given.now ?? (() => new Date(start));
  return createTokens({ signingKey: given.key ?? signingKey, tenantId: given.tenantId ?? tenantId, now });
}

const bearer = async (tokens: Tokens, audience = vault) =>
  `Bearer ${(await tokens.issue(caller, audience)).token}`;

test('a token tells who called, the first time and when it is remembered', async () => {
  const tokens = await tokensAt();
  const header = await bearer(tokens);
  expect(await tokens.verify(header, vault)).toEqual(caller);
  expect(await tokens.verify(header, vault)).toEqual(caller);
});

test('a remembered token is still refused by another service', async () => {
  const tokens = await tokensAt();
  const header = await bearer(tokens);
  await tokens.verify(header, vault);
  await expect(tokens.verify(header, 'https://elsewhere.example')).rejects.toThrow('AKV10022');
});

test('a remembered token expires', async () => {
  let time = start;
  const tokens = await tokensAt({ now: () => new Date(time) });
  const header = await bearer(tokens);
  await tokens.verify(header, vault);
  time += 24 * 60 * 60 * 1000;
  await expect(tokens.verify(header, vault)).rejects.toThrow('expired');
});

test('a token of another key, of another tenant, or none at all is refused in the vault’s words', async () => {
  const tokens = await tokensAt();
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = other.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await expect(tokens.verify(await bearer(await tokensAt({ key })), vault)).rejects.toThrow('AKV10046');
  await expect(tokens.verify(await bearer(await tokensAt({ tenantId: 'x' })), vault)).rejects.toThrow(
    'AKV10032',
  );
  await expect(tokens.verify(undefined, vault)).rejects.toThrow('AKV10000');
  await expect(tokens.verify('Basic abc', vault)).rejects.toThrow('AKV10000');
});

test('claims and a lifetime can be given along, and none of the fixed ones replaced', async () => {
  const tokens = await tokensAt();
  const claims = { roles: ['Application.ReadWrite.All'], oid: 'somebody else' };
  const { token, expiresOn, notBefore } = await tokens.issue(caller, vault, { claims, lifetimeSeconds: 60 });
  expect(decodeJwt(token)).toMatchObject({ roles: claims.roles, oid: 'o-1', appid: 'c-1', aud: vault });
  expect(expiresOn - notBefore).toBe(60);
});
