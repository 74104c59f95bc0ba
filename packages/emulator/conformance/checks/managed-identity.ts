import assert from 'node:assert/strict';
import { createPublicKey, verify, type JsonWebKey } from 'node:crypto';
import type { Check, Theme } from '../check.ts';
import { identityNamed } from '../identities.ts';
import { askAppService, askImds, claimsIn, tokenIn, vaultResource, wireOf } from '../identity-wire.ts';
import type { TokenAnswer } from '../identity-wire.ts';
import { runWorkload, type Workload } from '../workload.ts';

const place = 'key-vault.md: Managed identity (E)';
const appService = `${place}: "App Service form: GET IDENTITY_ENDPOINT…"`;
const imds = `${place}: "IMDS form: api-version 2018-02-01, header Metadata: true"`;
const needs = 'identityEndpoint' as const;
const resource = vaultResource;

const caller = identityNamed('caller');
const officer = identityNamed('officer');

/** No token, and no word of success. */
function assertNoToken({ status, body }: TokenAnswer): void {
  assert.ok(status >= 400 && status < 500, `expected a refusal, got ${status}`);
  assert.ok(!('access_token' in body), 'no token is in the answer');
}

const selectedBy = (parameter: string, value: string): Check => ({
  name: `App Service: a user-assigned identity is selected by ${parameter}`,
  source: `${place}: "user-assigned as client_id, mi_res_id or object_id"`,
  needs,
  run: async (vault) => {
    const { appid, oid } = claimsIn(tokenIn(await askAppService(vault, { resource, [parameter]: value })));
    assert.deepEqual([appid, oid], [officer.clientId, officer.objectId]);
  },
});

const workload = (
  name: string,
  source: string,
  how: Workload,
  expected: { readonly objectId: string },
): Check => ({
  name,
  source,
  needs,
  run: async (vault) => {
    const { oid, value } = await runWorkload(vault, how);
    assert.deepEqual({ oid, value }, { oid: expected.objectId, value: 'value of granted' });
  },
});

export const managedIdentity: Theme = {
  name: 'managed identity on the wire',
  checks: [
    {
      name: 'App Service: the answer has access_token and an expires_on in epoch seconds',
      source: `${place}: "Answer needs access_token and expires_on"`,
      needs,
      run: async (vault) => {
        const answer = await askAppService(vault, { resource });
        assert.equal(claimsIn(tokenIn(answer)).oid, caller.objectId);
        assert.match(String(answer.body['expires_on']), /^\d{10}$/);
        assert.ok(Number(answer.body['expires_on']) > Date.now() / 1000 + 300, 'it lives for a while');
        assert.equal(answer.body['token_type'], 'Bearer');
      },
    },
    {
      name: 'App Service: without the right X-IDENTITY-HEADER there is no token',
      source: appService,
      needs,
      run: async (vault) => {
        assertNoToken(await askAppService(vault, { resource }, {}));
        assertNoToken(await askAppService(vault, { resource }, { 'X-IDENTITY-HEADER': 'conformance' }));
      },
    },
    {
      name: 'App Service: without a resource there is no token',
      source: appService,
      needs,
      run: async (vault) => assertNoToken(await askAppService(vault, {})),
    },
    {
      name: 'App Service: the audience is the resource without a trailing slash',
      source: 'key-vault.md: Challenge (E): "resource without trailing slash"',
      needs,
      run: async (vault) => {
        const answer = await askAppService(vault, { resource: `${resource}/` });
        assert.equal(claimsIn(tokenIn(answer)).aud, resource);
      },
    },
    selectedBy('client_id', officer.clientId),
    selectedBy('mi_res_id', officer.resourceId),
    selectedBy('object_id', officer.objectId),
    {
      name: 'App Service: an identity that isn’t there gets no token, and nobody else’s either',
      source: `${place}: "user-assigned as client_id, mi_res_id or object_id"`,
      needs,
      run: async (vault) => {
        for (const parameter of ['client_id', 'mi_res_id', 'object_id'])
          assertNoToken(
            await askAppService(vault, { resource, [parameter]: '11111111-1111-4111-8111-111111111111' }),
          );
      },
    },
    {
      name: 'IMDS: the answer has a token of the system-assigned identity',
      source: imds,
      needs,
      run: async (vault) => {
        const answer = await askImds(vault, { resource });
        assert.equal(claimsIn(tokenIn(answer)).oid, caller.objectId);
        assert.match(String(answer.body['expires_on']), /^\d{10}$/);
        assert.equal(answer.body['token_type'], 'Bearer');
      },
    },
    {
      name: 'IMDS: without the header Metadata: true there is no token',
      source: imds,
      needs,
      run: async (vault) => assertNoToken(await askImds(vault, { resource }, { headers: {} })),
    },
    {
      name: 'IMDS: slashes at both ends of the path, as ManagedIdentityCredential sends them, change nothing',
      source: `${place}: "(then with a trailing slash and no probe)"`,
      needs,
      run: async (vault) => {
        const path = '/metadata/identity/oauth2/token/';
        assert.equal(claimsIn(tokenIn(await askImds(vault, { resource }, { path }))).oid, caller.objectId);
      },
    },
    {
      name: 'IMDS: a user-assigned identity is selected by client_id',
      source: `${imds}; "user-assigned as client_id"`,
      needs,
      run: async (vault) => {
        const answer = await askImds(vault, { resource, client_id: officer.clientId });
        assert.equal(claimsIn(tokenIn(answer)).oid, officer.objectId);
      },
    },
    {
      name: 'a token says whose it is, for whom and how long, and the vault takes it',
      source: `${place}; key-vault.md: Challenge (E): "the token's aud"`,
      needs,
      run: async (vault) => {
        const token = tokenIn(await askAppService(vault, { resource }));
        const claims = claimsIn(token);
        assert.partialDeepStrictEqual(claims, {
          aud: resource,
          oid: caller.objectId,
          appid: caller.clientId,
        });
        assert.ok(claims.iss.includes(claims.tid), 'the issuer names the tenant');
        assert.ok(claims.nbf <= Date.now() / 1000 && claims.exp > claims.nbf, 'it is valid now');
        assert.equal((await vault.call('GET', '/secrets?maxresults=1', { token })).status, 200);
      },
    },
    {
      name: 'a token of another audience is 401',
      source: 'key-vault.md: Challenge (E): "it becomes the token’s aud"',
      needs,
      run: async (vault) => {
        const answer = await askAppService(vault, { resource: 'https://management.azure.com' });
        const refusal = await vault.call('GET', '/secrets', { token: tokenIn(answer) });
        assert.equal(refusal.status, 401);
        assert.match(String(refusal.headers['www-authenticate']), /^Bearer authorization="/);
      },
    },
    {
      name: 'anyone can check a token with the keys that the OpenID configuration leads to',
      source: `${place}: "a new signing key gets 401"; OpenID Connect Discovery 1.0`,
      needs,
      run: async (vault) => {
        const token = tokenIn(await askAppService(vault, { resource }));
        const { tid, iss } = claimsIn(token);
        const at = new URL(`/${tid}/.well-known/openid-configuration`, wireOf(vault).imds);
        const configuration = (await (await fetch(at)).json()) as { issuer: string; jwks_uri: string };
        assert.equal(configuration.issuer, iss);
        const { keys } = (await (await fetch(configuration.jwks_uri)).json()) as { keys: JsonWebKey[] };
        const [head = '', body = '', signature = ''] = token.split('.');
        const { alg, kid } = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, string>;
        assert.equal(alg, 'RS256');
        const key = keys.find((each) => each['kid'] === kid);
        assert.ok(key, 'the key that the token names is published');
        assert.ok(!('d' in key), 'only the public half is published');
        const publicKey = createPublicKey({ key, format: 'jwk' });
        const signed = Buffer.from(`${head}.${body}`);
        assert.ok(verify('sha256', signed, publicKey, Buffer.from(signature, 'base64url')), 'it verifies');
      },
    },
    workload(
      'DefaultAzureCredential gets in unmodified, as the system-assigned identity',
      appService,
      { credential: 'default' },
      caller,
    ),
    workload(
      'DefaultAzureCredential heeds AZURE_CLIENT_ID',
      `${place}: "DefaultAzureCredential reads AZURE_CLIENT_ID"`,
      { credential: 'default', environment: { AZURE_CLIENT_ID: officer.clientId } },
      officer,
    ),
    workload(
      'a bare ManagedIdentityCredential doesn’t heed AZURE_CLIENT_ID',
      `${place}: "bare ManagedIdentityCredential does not"`,
      { credential: 'managedIdentity', environment: { AZURE_CLIENT_ID: officer.clientId } },
      caller,
    ),
    workload(
      'ManagedIdentityCredential finds the metadata service through AZURE_POD_IDENTITY_AUTHORITY_HOST',
      `${place}: "redirects it to an emulator (then with a trailing slash and no probe)"`,
      { credential: 'managedIdentity', through: 'imds' },
      caller,
    ),
  ],
};
