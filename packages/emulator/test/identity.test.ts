import { readFile, stat, writeFile } from 'node:fs/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultAzureCredential, ManagedIdentityCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { createRemoteJWKSet, decodeJwt, importPKCS8, jwtVerify, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startEmulator, type Emulator } from '../src/index.ts';
import { call, tokenOf } from './raw-call.ts';

// One folder for all of them: Azure's credentials share one token cache a process, so a vault with another key
// would be sent the tokens of the one before.
let dataFolder: string;
let vault: Emulator;

beforeAll(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'identity-test-'));
});
afterAll(() => rm(dataFolder, { recursive: true }));
beforeEach(async () => {
  vault = await startEmulator({
    dataFolder,
    vaults: [{ name: 'local', secrets: [{ name: 'key', value: 'one' }] }],
  });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await vault.close();
});

const resource = 'https://vault.azure.net';

function stubAppService(): void {
  vi.stubEnv('IDENTITY_ENDPOINT', vault.identityEndpoint);
  vi.stubEnv('IDENTITY_HEADER', vault.identityHeader);
}

async function appServiceToken(query: string, header: string = vault.identityHeader): Promise<Response> {
  const url = `${vault.identityEndpoint}?api-version=2019-08-01${query}`;
  return fetch(url, { headers: { 'X-IDENTITY-HEADER': header } });
}

describe('the App Service form', () => {
  test('a bare managed identity credential gets in', async () => {
    stubAppService();
    const client = new SecretClient(vault.vaultUrl, new ManagedIdentityCredential(), vault.clientOptions);
    expect((await client.getSecret('key')).value).toBe('one');
  });

  test('the default credential gets in', async () => {
    stubAppService();
    const client = new SecretClient(vault.vaultUrl, new DefaultAzureCredential(), vault.clientOptions);
    expect((await client.getSecret('key')).value).toBe('one');
  });

  test('a wrong identity header is 401', async () => {
    const answer = await appServiceToken(`&resource=${resource}`, 'wrong');
    expect(answer.status).toBe(401);
    expect(await answer.text()).not.toContain('access_token');
  });

  test('the audience is the resource without its trailing slash', async () => {
    const answer = (await (await appServiceToken(`&resource=${resource}/`)).json()) as Record<string, string>;
    expect(decodeJwt(answer['access_token'] ?? '').aud).toBe(resource);
    expect(Number(answer['expires_on'])).toBeGreaterThan(Date.now() / 1000 + 3600);
  });

  test.each(['client_id', 'object_id', 'principal_id', 'mi_res_id'])(
    'an identity that isn’t there, asked for by %s, is 400',
    async (parameter) => {
      const answer = await appServiceToken(
        `&resource=${resource}&${parameter}=11111111-1111-1111-1111-111111111111`,
      );
      expect(answer.status).toBe(400);
    },
  );

  test('a request without a resource is 400', async () => {
    expect((await appServiceToken('')).status).toBe(400);
  });
});

describe('the metadata service form', () => {
  test('a managed identity credential gets in through the pod identity host', async () => {
    vi.stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', vault.imdsUrl);
    // The credential for App Service was told from its variables; here they are absent.
    const credential = new ManagedIdentityCredential();
    const client = new SecretClient(vault.vaultUrl, credential, vault.clientOptions);
    expect((await client.getSecret('key')).value).toBe('one');
  });

  test('the Metadata header is required', async () => {
    const url = `${vault.imdsUrl}metadata/identity/oauth2/token?api-version=2018-02-01&resource=${resource}`;
    expect((await fetch(url)).status).toBe(400);
    const answer = await fetch(url, { headers: { Metadata: 'true' } });
    expect(await answer.json()).toMatchObject({ token_type: 'Bearer', resource, expires_in: '86400' });
  });
});

const forged = async (changes: { aud?: string; exp?: number; iss?: string }): Promise<string> => {
  const stored = JSON.parse(await readFile(join(dataFolder, 'keys.json'), 'utf8')) as {
    signingKey: string;
  };
  const claims = { ...decodeJwt(await tokenOf(vault)), ...changes };
  const key = await importPKCS8(stored.signingKey, 'RS256');
  return new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(key);
};

describe('tokens', () => {
  const path = '/secrets/key?api-version=7.6';

  test('without a token everything is 401 with the challenge, even a path that doesn’t exist', async () => {
    for (const where of [path, '/nowhere']) {
      const answer = await call(vault, where, { token: undefined });
      expect(answer).toMatchObject({
        status: 401,
        json: {
          error: { code: 'Unauthorized', message: 'AKV10000: Request is missing a Bearer or PoP token.' },
        },
      });
      expect(answer.headers['www-authenticate']).toMatch(
        /^Bearer authorization="https:\/\/login\.windows\.net\/[0-9a-f-]{36}", resource="https:\/\/vault\.azure\.net"$/,
      );
    }
  });

  test('anyone can check them against the published keys', async () => {
    const keys = createRemoteJWKSet(new URL(vault.keysUrl));
    const { payload, protectedHeader } = await jwtVerify(await tokenOf(vault), keys, { audience: resource });
    expect(protectedHeader.alg).toBe('RS256');
    expect(payload).toMatchObject({ oid: expect.any(String) as string, idtyp: 'app' });
  });

  test.each([
    ['expired', { exp: 1_700_000_000 }, 'Lifetime validation failed'],
    ['for something else', { aud: 'https://management.azure.com' }, 'AKV10022'],
    ['with a trailing slash in its audience', { aud: `${resource}/` }, 'AKV10022'],
    ['from another issuer', { iss: 'https://elsewhere.example/' }, 'AKV10032'],
  ])('a token %s is 401', async (_, changes, message) => {
    const answer = await call(vault, path, { token: await forged(changes) });
    expect(answer.status).toBe(401);
    expect(answer.text).toContain(message);
  });

  test('a token with a good look and another signature is 401', async () => {
    const [head, body] = (await tokenOf(vault)).split('.');
    const answer = await call(vault, path, { token: `${head}.${body}.${'A'.repeat(342)}` });
    expect(answer.status).toBe(401);
    expect(answer.text).toContain('AKV10046');
  });
});

describe('the data folder', () => {
  test('a restart keeps tokens valid and the CA the same', async () => {
    const token = await tokenOf(vault);
    const before = vault.ca;
    await vault.close();
    vault = await startEmulator({ dataFolder });
    expect(vault.ca).toBe(before);
    const answer = await call(vault, '/secrets/key?api-version=7.6', { token });
    expect(answer).toMatchObject({ status: 200, json: { value: 'one' } });
  });

  test('a second emulator in it is refused', async () => {
    await expect(startEmulator({ dataFolder })).rejects.toMatchObject({
      code: 'DATA_FOLDER_UNUSABLE',
      message: expect.stringContaining('in use') as string,
    });
  });

  test('its files are for the owner only', async () => {
    for (const file of ['keys.json', 'ca.pem'])
      expect((await stat(join(dataFolder, file))).mode & 0o777).toBe(0o600);
  });

  test('what isn’t keys is refused and left alone', async () => {
    const other = await mkdtemp(join(dataFolder, 'other-'));
    await writeFile(join(other, 'keys.json'), 'something of mine');
    await expect(startEmulator({ dataFolder: other })).rejects.toMatchObject({
      code: 'DATA_FOLDER_UNUSABLE',
    });
    expect(await readFile(join(other, 'keys.json'), 'utf8')).toBe('something of mine');
  });
});
