import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imdsPathOf } from '../../src/identity/managed-identity.ts';
import { startCloud, type Cloud } from './cloud.ts';

const getToken = new URL('get-token.mjs', import.meta.url).pathname;
const vault = 'https://vault.azure.net';
let cloud: Cloud;

beforeAll(async () => {
  cloud = await startCloud({
    identities: [
      { name: 'rotator', systemAssigned: true },
      { name: 'orders api', systemAssigned: true },
      {
        name: 'shared',
        clientId: '11111111-1111-1111-1111-111111111111',
        resourceId: '/subscriptions/x/Shared',
      },
    ],
  });
});
afterAll(() => cloud[Symbol.asyncDispose]());

interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
  /** The object id that the token speaks for. */
  readonly objectId: string | undefined;
}

async function read(answer: Response): Promise<TokenAnswer> {
  const body = (await answer.json()) as Record<string, string>;
  const token = body['access_token'];
  const objectId = token === undefined ? undefined : String(decodeJwt(token)['oid']);
  return { status: answer.status, body, objectId };
}

async function appService(owner: string, query = `&resource=${vault}`, version = '2019-08-01') {
  const url = `${cloud.identityUrl}/msi/token?api-version=${version}${query}`;
  return read(await fetch(url, { headers: { 'X-IDENTITY-HEADER': cloud.headerOf(owner) } }));
}

async function imds(path: string, query = `&resource=${vault}`, version = '2018-02-01') {
  const url = `${cloud.identityUrl}${path}/metadata/identity/oauth2/token?api-version=${version}${query}`;
  return read(await fetch(url, { headers: { Metadata: 'true' } }));
}

const idOf = (name: string) => cloud.directory.get(name).objectId;

describe('the App Service form', () => {
  test('two processes are two system-assigned identities, told apart by their headers', async () => {
    expect((await appService('rotator')).objectId).toBe(idOf('rotator'));
    expect((await appService('orders api')).objectId).toBe(idOf('orders api'));
  });

  test('headers differ from one another, and without one, or with a wrong one, it is 401', async () => {
    expect(cloud.headerOf('rotator')).not.toBe(cloud.headerOf('shared'));
    const url = `${cloud.identityUrl}/msi/token?api-version=2019-08-01&resource=${vault}`;
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, { headers: { 'X-IDENTITY-HEADER': 'wrong' } })).status).toBe(401);
  });

  test.each([
    ['client_id', () => cloud.directory.get('shared').clientId],
    ['object_id', () => idOf('shared').toUpperCase()],
    ['principal_id', () => idOf('shared')],
    ['mi_res_id', () => '/SUBSCRIPTIONS/x/shared'],
  ])('%s selects another identity', async (parameter, value) => {
    const answer = await appService('rotator', `&resource=${vault}&${parameter}=${value()}`);
    expect(answer.objectId).toBe(idOf('shared'));
    expect(answer.body['client_id']).toBe('11111111-1111-1111-1111-111111111111');
  });

  test('ids of two identities at once select none', async () => {
    const both = `&client_id=${cloud.directory.get('shared').clientId}&object_id=${idOf('rotator')}`;
    expect((await appService('rotator', `&resource=${vault}${both}`)).status).toBe(400);
  });

  test('a process without a system-assigned identity that names none is 400, in App Service’s words', async () => {
    expect(await appService('shared')).toMatchObject({
      status: 400,
      body: { statusCode: 400, message: 'Unable to load the proper Managed Identity.' },
    });
  });

  test('an identity that isn’t there is 400', async () => {
    const answer = await appService(
      'rotator',
      `&resource=${vault}&client_id=22222222-2222-2222-2222-222222222222`,
    );
    expect(answer.status).toBe(400);
    expect(answer.body['message']).toContain('No User Assigned or Delegated Managed Identity found');
  });

  test('another api-version, or no resource, is 400', async () => {
    expect((await appService('rotator', `&resource=${vault}`, '2017-09-01')).status).toBe(400);
    expect((await appService('rotator', '')).status).toBe(400);
  });

  test('the audience is the resource without its trailing slash', async () => {
    const { body } = await appService('rotator', `&resource=${vault}/`);
    expect(decodeJwt(body['access_token'] ?? '').aud).toBe(vault);
    expect(body).toMatchObject({ resource: vault, token_type: 'Bearer' });
  });
});

describe('the metadata service form', () => {
  test('a bare request is the first system-assigned identity', async () => {
    expect((await imds('')).objectId).toBe(idOf('rotator'));
  });

  test('each identity has a metadata service of its own, so that two processes can differ', async () => {
    expect((await imds(imdsPathOf('orders api'))).objectId).toBe(idOf('orders api'));
    expect((await imds(imdsPathOf('shared'))).objectId).toBe(idOf('shared'));
    expect((await imds(`${imdsPathOf('shared')}/`)).objectId).toBe(idOf('shared'));
  });

  test('an id selects another identity there, too', async () => {
    const query = `&resource=${vault}&msi_res_id=/subscriptions/x/shared`;
    expect((await imds(imdsPathOf('rotator'), query)).objectId).toBe(idOf('shared'));
  });

  test('refusals have the real bodies', async () => {
    const invalid = (error_description: string) => ({
      status: 400,
      body: { error: 'invalid_request', error_description },
    });
    expect(await imds('/as/nobody')).toMatchObject(invalid('Identity not found'));
    expect(await imds('', '')).toMatchObject(invalid("Required audience parameter 'resource' not specified"));
    expect(await imds('', `&resource=${vault}`, '1999-01-01')).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('api-version is invalid') as string },
    });
    const url = `${cloud.identityUrl}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${vault}`;
    expect(await read(await fetch(url))).toMatchObject(invalid('Required metadata header not specified'));
  });

  test('an unmodified ManagedIdentityCredential becomes the identity its authority host stands for', async () => {
    const token = await cloud.run(getToken, {
      CREDENTIAL: 'managed',
      SCOPE: `${vault}/.default`,
      AZURE_POD_IDENTITY_AUTHORITY_HOST: `${cloud.identityUrl}${imdsPathOf('orders api')}`,
    });
    expect(decodeJwt(token)['oid']).toBe(idOf('orders api'));
  });
});
