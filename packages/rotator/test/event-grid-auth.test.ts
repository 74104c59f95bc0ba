import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { SecretValue } from '@keyturn/source';
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { entraTenant, eventGridAppId, eventGridRole, type EntraAuth } from '../src/triggers/entra-check.ts';
import { openWebhookAuth, type AuthCheck, type WebhookAuth } from '../src/triggers/webhook-auth.ts';
import { openSetClock, type SetClock } from './fakes/clock.ts';

const tenant = '0d1c2b3a-4e5f-4a6b-8c7d-9e0f1a2b3c4d';
const audience = 'api://keyturn';
const { issuers } = entraTenant(tenant);
const [issuer = ''] = issuers;

let keysServer: Server;
let keysUrl: URL;
let keysAsked: number;
let published: JWK[];
let ours: CryptoKey;
let theirs: CryptoKey;
let clock: SetClock;

beforeAll(async () => {
  const pair = await generateKeyPair('RS256');
  ours = pair.privateKey;
  theirs = (await generateKeyPair('RS256')).privateKey;
  const jwk = await exportJWK(pair.publicKey);
  published = [{ ...jwk, kid: 'ours', use: 'sig' }]; // Entra names no algorithm
  keysServer = createServer((_request, response) => {
    keysAsked += 1;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published }));
  }).listen(0, '127.0.0.1');
  await once(keysServer, 'listening');
  keysUrl = new URL(`http://127.0.0.1:${(keysServer.address() as AddressInfo).port}/keys`);
});
afterAll(() => {
  keysServer.closeAllConnections();
  keysServer.close();
});
beforeEach(() => {
  keysAsked = 0;
  clock = openSetClock();
});

function check(more: Partial<EntraAuth> = {}): AuthCheck {
  const usual = { kind: 'entra', issuers, audiences: [audience], keysUrl } as const;
  return openWebhookAuth({ ...usual, caller: { appId: eventGridAppId }, ...more }, clock);
}

/** As Event Grid's are, with an hour to live. */
async function token(claims: object = {}, signing: { key?: CryptoKey; kid?: string } = {}): Promise<string> {
  const { key = ours, kid = 'ours' } = signing;
  const seconds = clock.now() / 1_000;
  const times = { iat: seconds, nbf: seconds, exp: seconds + 3_600 };
  const usual = { iss: issuer, aud: audience, appid: eventGridAppId, roles: [eventGridRole], ...times };
  return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: 'RS256', kid }).sign(key);
}

const bearing = (text: string) => new Headers({ authorization: `Bearer ${text}` });
const allowed = { allowed: true };
const refused = (status: number, reason: string) => ({
  allowed: false,
  status,
  reason: expect.stringContaining(reason),
});

describe('a token of Entra', () => {
  it.each([
    ['version 1.0', { iss: issuers[0], appid: eventGridAppId }],
    ['version 2.0', { iss: issuers[1], appid: undefined, azp: eventGridAppId }],
  ])('of %s lets Event Grid in', async (_version, claims) => {
    expect(await check()(bearing(await token(claims)))).toEqual(allowed);
  });

  it('lets in whoever bears the role, where a role is asked for', async () => {
    const byRole = check({ caller: { role: eventGridRole } });
    expect(await byRole(bearing(await token({ appid: 'another' })))).toEqual(allowed);
    for (const roles of [undefined, [], ['Reader'], eventGridRole])
      expect(await byRole(bearing(await token({ roles })))).toEqual(refused(403, eventGridRole));
  });

  it('of another application may not deliver', async () => {
    for (const appid of [undefined, 'another', [eventGridAppId]])
      expect(await check()(bearing(await token({ appid })))).toEqual(refused(403, 'another application'));
  });

  it.each<[string, object, string]>([
    ['of another tenant', { iss: 'https://sts.windows.net/other/' }, 'iss'],
    ['made out to somebody else', { aud: 'https://vault.azure.net' }, 'aud'],
    ['without an audience', { aud: undefined }, 'aud'],
    ['without an end', { exp: undefined }, 'exp'],
  ])('%s is refused', async (_what, claims, claim) => {
    expect(await check()(bearing(await token(claims)))).toEqual(refused(401, `token's ${claim} is not`));
  });

  it('counts from its beginning to its end by the clock, give or take five minutes', async () => {
    const judge = check();
    const headers = bearing(await token());
    clock.advance(3_600_000 + 299_000);
    expect(await judge(headers)).toEqual(allowed);
    clock.advance(1_000);
    expect(await judge(headers)).toEqual(refused(401, 'expired'));
    const early = await token({ nbf: clock.now() / 1_000 + 301 });
    expect(await judge(bearing(early))).toEqual(refused(401, 'nbf'));
  });

  it('that somebody else signed is refused', async () => {
    for (const kid of ['ours', 'unknown'])
      expect(await check()(bearing(await token({}, { key: theirs, kid })))).toEqual(
        refused(401, 'not signed with a key of the tenant'),
      );
  });

  it('that nobody signed, or with what everybody knows, is refused', async () => {
    const claims = { iss: issuer, aud: audience, appid: eventGridAppId, exp: clock.now() / 1_000 + 60 };
    const shared = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'ours' })
      .sign(new TextEncoder().encode(JSON.stringify(published[0])));
    for (const forged of [new UnsecuredJWT(claims).encode(), shared, 'a.b.c', 'abc'])
      expect(await check()(bearing(forged))).toEqual(refused(401, 'no RS256 JWT'));
  });

  it('that is signed in another way than Entra signs is refused, also with a key of the tenant', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    published.push({ ...(await exportJWK(publicKey)), kid: 'other', use: 'sig' });
    const claims = { iss: issuer, aud: audience, appid: eventGridAppId, exp: clock.now() / 1_000 + 60 };
    const signing = new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'other' });
    expect(await check()(bearing(await signing.sign(privateKey)))).toEqual(refused(401, 'no RS256 JWT'));
    published.pop();
  });

  it('has to be there', async () => {
    for (const headers of [new Headers(), new Headers({ authorization: 'Basic YTpi' }), bearing('')])
      expect(await check()(headers)).toEqual(refused(401, 'no bearer token'));
  });

  it('is checked with keys that are fetched once', async () => {
    const judge = check();
    for (let time = 0; time < 5; time += 1) await judge(bearing(await token()));
    expect(keysAsked).toBe(1);
  });

  it('that can’t be checked now is no fault of the sender, so that the event comes again', async () => {
    const away = check({ keysUrl: new URL('http://127.0.0.1:9/keys') });
    expect(await away(bearing(await token()))).toEqual(refused(503, "can't be read now"));
  });

  it('is not told again', async () => {
    const shown = await token({ aud: 'planted' });
    const verdict = inspect(await check()(bearing(shown)));
    expect(verdict).not.toContain(shown.split('.')[1]);
    expect(verdict).not.toContain('planted');
  });
});

describe('a key', () => {
  const auth: WebhookAuth = { kind: 'key', keys: [new SecretValue('the-first'), new SecretValue('second')] };
  const judge = (headers: Record<string, string>) => openWebhookAuth(auth, clock)(new Headers(headers));

  it('lets in, and so does the one that is to follow it', async () => {
    expect(await judge({ 'keyturn-webhook-key': 'the-first' })).toEqual(allowed);
    expect(await judge({ 'Keyturn-Webhook-Key': 'second' })).toEqual(allowed);
  });

  it.each(['the-firs', 'the-first1', 'The-first', 'the-first, second'])(
    'that is wrong (%s) is refused and not repeated',
    async (key) => {
      const verdict = await judge({ 'keyturn-webhook-key': key });
      expect(verdict).toEqual(refused(401, 'is wrong'));
      expect(inspect(verdict)).not.toContain(key);
    },
  );

  it('has to be in its header', async () => {
    for (const headers of [{}, { 'keyturn-webhook-key': '' }, { authorization: 'Bearer the-first' }])
      expect(await judge(headers as Record<string, string>)).toEqual(refused(401, 'missing'));
  });
});
