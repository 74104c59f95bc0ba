import { createRemoteJWKSet, decodeJwt, jwtVerify, SignJWT, importPKCS8 } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exchangeAudience, serviceAccountIssuer } from '../../src/identity/federation.ts';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signingKey, startCloud, tenantId, type Answer, type Cloud } from './cloud.ts';

const getToken = new URL('get-token.mjs', import.meta.url).pathname;
const vault = 'https://vault.azure.net';
const scope = `${vault}/.default`;
const login = `https://login.microsoftonline.com/${tenantId}`;
const subject = 'system:serviceaccount:orders:api';
const year = 365 * 24 * 60 * 60 * 1000;
let cloud: Cloud;

beforeAll(async () => {
  cloud = await startCloud({
    identities: [
      { name: 'api', federatedSubject: subject },
      { name: 'plain' },
      { name: 'billing', clientId: '33333333-3333-4333-8333-333333333333' },
    ],
    applications: [{ name: 'orders' }, { name: 'billing', clientId: '33333333-3333-4333-8333-333333333333' }],
  });
});
afterAll(() => cloud[Symbol.asyncDispose]());

const application = (name = 'orders') => cloud.applications.find(({ displayName }) => displayName === name)!;

function addSecret(name = 'orders', from = cloud.clock.now(), until = new Date(from.getTime() + year)) {
  return cloud.applications.addPassword(application(name).id, {
    displayName: null,
    startDateTime: from.toISOString(),
    endDateTime: until.toISOString(),
  });
}

const ask = (
  form: Record<string, string>,
  headers: Record<string, string> = {},
  url = login,
): Promise<Answer> =>
  cloud.call(`${url}/oauth2/v2.0/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope, ...form }).toString(),
  });

const withSecret = (client_secret: string, client_id = application().appId) =>
  ask({ client_id, client_secret });

const withAssertion = (client_assertion: string, name = 'api') =>
  ask({
    client_id: cloud.directory.get(name).clientId,
    client_assertion,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  });

function expectRefusal(answer: Answer, status: number, error: string, number: number): void {
  expect(answer.status).toBe(status);
  expect(answer.json).toMatchObject({
    error,
    error_codes: [number],
    trace_id: expect.any(String) as string,
    correlation_id: expect.any(String) as string,
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/) as string,
  });
  expect(answer.json['error_description']).toMatch(new RegExp(`^AADSTS${number}: .+ Trace ID: `));
}

describe('a client secret', () => {
  test('gets a token that verifiers accept, for the resource of the scope', async () => {
    const answer = await withSecret(addSecret().secretText);
    expect(answer).toMatchObject({ status: 200, json: { token_type: 'Bearer', expires_in: 3599 } });
    const claims = decodeJwt(String(answer.json['access_token']));
    expect(claims).toMatchObject({ aud: vault, appid: application().appId, tid: tenantId, idtyp: 'app' });
  });

  test('two live ones are both accepted, and a removed one is refused at once', async () => {
    const [one, two] = [addSecret(), addSecret()];
    expect((await withSecret(one.secretText)).status).toBe(200);
    expect((await withSecret(two.secretText)).status).toBe(200);
    cloud.applications.removePassword(application().id, one.keyId);
    expectRefusal(await withSecret(one.secretText), 401, 'invalid_client', 7000215);
    expect((await withSecret(two.secretText)).status).toBe(200);
  });

  test('a wrong one is refused, and not repeated in the answer', async () => {
    const answer = await withSecret('surely-not-this-one');
    expectRefusal(answer, 401, 'invalid_client', 7000215);
    expect(answer.text).not.toContain('surely-not');
  });

  test('one of another application is refused', async () => {
    const { secretText } = addSecret('billing');
    expectRefusal(await withSecret(secretText), 401, 'invalid_client', 7000215);
  });

  test('it expires by the emulator’s clock', async () => {
    const now = cloud.clock.now();
    const { secretText } = addSecret('orders', now, new Date(now.getTime() + year));
    expect((await withSecret(secretText)).status).toBe(200);
    await cloud.clock.advance(year);
    expectRefusal(await withSecret(secretText), 401, 'invalid_client', 7000222);
    await cloud.clock.set(now);
  });

  test('before its start it is wrong', async () => {
    const tomorrow = new Date(cloud.clock.now().getTime() + year);
    expectRefusal(await withSecret(addSecret('orders', tomorrow).secretText), 401, 'invalid_client', 7000215);
  });

  test('HTTP Basic will do, form-encoded', async () => {
    const { secretText } = addSecret();
    const pair = [application().appId, secretText].map(encodeURIComponent).join(':');
    const Authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    expect((await ask({}, { Authorization })).status).toBe(200);
    expectRefusal(await ask({}, { Authorization: 'Basic bm8=' }), 400, 'invalid_request', 900144);
  });

  test('an application acts as the identity that has its client id', async () => {
    const appId = application('billing').appId;
    const answer = await withSecret(addSecret('billing').secretText, appId);
    const claims = decodeJwt(String(answer.json['access_token']));
    expect(claims['oid']).toBe(cloud.directory.get('billing').objectId);
  });

  test('an unmodified ClientSecretCredential gets in, and says why it can’t', async () => {
    const { secretText, keyId } = addSecret();
    const environment = {
      CREDENTIAL: 'secret',
      SCOPE: scope,
      AZURE_TENANT_ID: tenantId,
      AZURE_CLIENT_ID: application().appId,
      AZURE_CLIENT_SECRET: secretText,
    };
    expect(decodeJwt(await cloud.run(getToken, environment))['appid']).toBe(application().appId);
    cloud.applications.removePassword(application().id, keyId);
    expect(await cloud.run(getToken, environment)).toContain(
      'AADSTS7000215: Invalid client secret provided.',
    );
  });
});

describe('what is missing or wrong is told in Entra’s words', () => {
  const client_id = '44444444-4444-4444-8444-444444444444';
  test.each([
    ['an unknown client', { client_id, client_secret: 'x' }, 400, 'unauthorized_client', 700016],
    ['no client', {}, 400, 'invalid_request', 900144],
    ['no grant', { grant_type: '' }, 400, 'invalid_request', 900144],
    ['another grant', { grant_type: 'password' }, 400, 'unsupported_grant_type', 70003],
    ['no scope', { client_id, scope: '' }, 400, 'invalid_request', 900144],
    ['a scope without .default', { client_id, scope: vault }, 400, 'invalid_scope', 1002012],
  ] as const)('%s', async (_, form, status, error, number) => {
    expectRefusal(await ask(form), status, error, number);
  });

  test('no credential', async () => {
    expectRefusal(await ask({ client_id: application().appId }), 401, 'invalid_client', 7000218);
  });

  test('an unknown tenant', async () => {
    const elsewhere = 'https://login.microsoftonline.com/elsewhere.example';
    expectRefusal(await ask({}, {}, elsewhere), 400, 'invalid_request', 90002);
  });

  test('the client’s request id comes back', async () => {
    expect((await ask({}, { 'client-request-id': 'my-id' })).json['correlation_id']).toBe('my-id');
  });
});

/** A service account token with something wrong about it. */
async function forge(changes: { iss?: string; aud?: string; sub?: string; exp?: number }, pem = signingKey) {
  const exp = Math.floor(Date.now() / 1000) + 600;
  return new SignJWT({ iss: serviceAccountIssuer, aud: exchangeAudience, sub: subject, exp, ...changes })
    .setProtectedHeader({ alg: 'RS256' })
    .sign(await importPKCS8(pem, 'RS256'));
}

describe('workload identity federation', () => {
  test('a token of the trusted service account gets a token of the identity', async () => {
    const answer = await withAssertion(await cloud.federation.issueServiceAccountToken(subject));
    const { objectId } = cloud.directory.get('api');
    expect(decodeJwt(String(answer.json['access_token']))).toMatchObject({ oid: objectId, aud: vault });
  });

  test.each([
    ['another issuer', { iss: 'https://elsewhere.example' }, 700211],
    ['another audience', { aud: 'api://elsewhere' }, 700212],
    ['another subject', { sub: 'system:serviceaccount:orders:other' }, 700213],
    ['its subject in other letters', { sub: subject.toUpperCase() }, 700213],
    ['an expiry in the past', { exp: 1_700_000_000 }, 700024],
  ])('one with %s is refused', async (_, changes, number) => {
    expectRefusal(await withAssertion(await forge(changes)), 401, 'invalid_client', number);
  });

  test('one with a signature of somebody else is refused', async () => {
    const [head, body] = (await cloud.federation.issueServiceAccountToken(subject)).split('.');
    const forged = `${head}.${body}.${'A'.repeat(342)}`;
    expectRefusal(await withAssertion(forged), 401, 'invalid_client', 700027);
  });

  test('something that is no JWT is refused, and not repeated', async () => {
    const answer = await withAssertion('surely-not-a-jwt');
    expectRefusal(answer, 400, 'invalid_request', 50027);
    expect(answer.text).not.toContain('surely-not');
  });

  test('an identity that trusts nobody, and an application, accept none', async () => {
    const assertion = await cloud.federation.issueServiceAccountToken(subject);
    expectRefusal(await withAssertion(assertion, 'plain'), 401, 'invalid_client', 70025);
    const form = {
      client_id: application().appId,
      client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    };
    expectRefusal(await ask(form), 401, 'invalid_client', 70025);
  });

  test('an access token is no service account token, and the other way round', async () => {
    const access = await cloud.tokenOf('api', exchangeAudience);
    expectRefusal(await withAssertion(access), 401, 'invalid_client', 700211);
    const account = await cloud.federation.issueServiceAccountToken(subject);
    const refusal = { refusal: { status: 401 } };
    await expect(cloud.tokens.verify(`Bearer ${account}`, exchangeAudience)).rejects.toMatchObject(refusal);
  });

  test('an unmodified WorkloadIdentityCredential gets in', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'federated-'));
    const file = join(folder, 'token');
    await writeFile(file, await cloud.federation.issueServiceAccountToken(subject));
    const token = await cloud.run(getToken, {
      CREDENTIAL: 'workload',
      SCOPE: scope,
      AZURE_TENANT_ID: tenantId,
      AZURE_CLIENT_ID: cloud.directory.get('api').clientId,
      AZURE_FEDERATED_TOKEN_FILE: file,
    });
    expect(decodeJwt(token)['oid']).toBe(cloud.directory.get('api').objectId);
    await rm(folder, { recursive: true });
  });
});

describe('discovery', () => {
  test.each([
    ['', `https://sts.windows.net/${tenantId}/`, 'discovery/keys'],
    ['/v2.0', `https://login.microsoftonline.com/${tenantId}/v2.0`, 'discovery/v2.0/keys'],
  ])('the documents under %s name the issuer and the keys', async (version, issuer, keys) => {
    const { json } = await cloud.call(`${login}${version}/.well-known/openid-configuration`);
    expect(json).toMatchObject({
      issuer,
      jwks_uri: `${login}/${keys}`,
      token_endpoint: `${login}/oauth2/v2.0/token`,
    });
    const { json: found } = await cloud.call(String(json['jwks_uri']));
    const [key] = found['keys'] as unknown as readonly object[];
    expect(key).toMatchObject({ kty: 'RSA', use: 'sig' });
    expect(key).not.toHaveProperty('d');
  });

  test('under a loopback URL, any verifier finds its way from there', async () => {
    const address = `${cloud.identityUrl}/${tenantId}/.well-known/openid-configuration`;
    const document = (await (await fetch(address)).json()) as { jwks_uri: string; issuer: string };
    expect(document.jwks_uri.startsWith(cloud.identityUrl)).toBe(true);
    const token = await cloud.tokenOf('api', vault);
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(document.jwks_uri)), {
      issuer: document.issuer,
      audience: vault,
    });
    expect(payload['oid']).toBe(cloud.directory.get('api').objectId);
  });

  test('MSAL’s question which clouds there are is answered', async () => {
    const url = 'https://login.microsoftonline.com/common/discovery/instance?api-version=1.1';
    const { json } = await cloud.call(url);
    expect(json['metadata']?.[0]?.['aliases']).toContain('login.windows.net');
    expect(String(json['tenant_discovery_endpoint'])).toContain(tenantId);
  });

  test('an unknown tenant has none', async () => {
    const other = 'https://login.windows.net/elsewhere.example';
    expectRefusal(
      await cloud.call(`${other}/.well-known/openid-configuration`),
      400,
      'invalid_request',
      90002,
    );
    expectRefusal(await cloud.call(`${other}/discovery/keys`), 400, 'invalid_request', 90002);
  });
});
