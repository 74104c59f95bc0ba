import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openChangeLog } from '../../src/change-log.ts';
import { startCloud, type Answer, type Cloud } from '../entra/cloud.ts';

const graph = 'https://graph.microsoft.com';
const startAt = new Date('2027-01-01T00:00:00.000Z');
const settings = {
  identities: [
    { name: 'rotator', roles: [{ role: 'Application.ReadWrite.All' as const }] },
    { name: 'orders only', roles: [{ role: 'Application.ReadWrite.All' as const, scope: 'orders' }] },
    { name: 'nobody', roles: [{ role: 'Key Vault Administrator' as const }] },
  ],
  applications: [
    { name: 'orders', clientId: '55555555-5555-4555-8555-555555555555' },
    { name: 'billing', objectId: '66666666-6666-4666-8666-666666666666' },
  ],
};
let cloud: Cloud;
let token: string;

beforeEach(async () => {
  cloud = await startCloud(settings, { startAt });
  token = await cloud.tokenOf('rotator', graph);
});
afterEach(() => cloud[Symbol.asyncDispose]());

const application = (name = 'orders') => cloud.applications.find(({ displayName }) => displayName === name)!;

const get = (path: string, as = token): Promise<Answer> => cloud.call(`${graph}/v1.0/${path}`, { token: as });

const post = (path: string, body: unknown, as = token): Promise<Answer> =>
  cloud.call(`${graph}/v1.0/${path}`, {
    method: 'POST',
    token: as,
    headers: { 'Content-Type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const add = (passwordCredential: object = {}, as = token): Promise<Answer> =>
  post(`applications/${application().id}/addPassword`, { passwordCredential }, as);

const remove = (keyId: unknown, as = token): Promise<Answer> =>
  post(`applications/${application().id}/removePassword`, { keyId }, as);

function expectRefusal(answer: Answer, status: number, code: string): void {
  expect(answer.status).toBe(status);
  expect(answer.json['error']).toMatchObject({
    code,
    message: expect.any(String) as string,
    innerError: { 'request-id': answer.headers['request-id'], date: expect.any(String) as string },
  });
}

describe('addPassword', () => {
  test('tells the text once, and its first three characters ever after', async () => {
    const answer = await add({ displayName: 'rotation 1' });
    expect(answer.status).toBe(200);
    const secretText = String(answer.json['secretText']);
    expect(secretText).toMatch(/^.{3}8Q~.{34}$/);
    const shown = {
      customKeyIdentifier: null,
      displayName: 'rotation 1',
      hint: secretText.slice(0, 3),
      keyId: answer.json['keyId'],
    };
    expect(answer.json).toMatchObject({
      ...shown,
      '@odata.context': `${graph}/v1.0/$metadata#microsoft.graph.passwordCredential`,
    });
    const { json, text } = await get(`applications/${application().id}`);
    expect(json['passwordCredentials']).toMatchObject([{ ...shown, secretText: null }]);
    expect(text).not.toContain(secretText);
  });

  test('is good for two years by the emulator’s clock if nothing is said', async () => {
    const { json } = await post(`applications/${application().id}/addPassword`, '');
    const { startDateTime, endDateTime, displayName } = json as Readonly<Record<string, unknown>>;
    const sinceStart = Date.parse(String(startDateTime)) - startAt.getTime();
    expect(sinceStart).toBeGreaterThanOrEqual(0);
    expect(sinceStart).toBeLessThan(60_000);
    expect(String(endDateTime)).toBe(String(startDateTime).replace('2027', '2029'));
    expect(displayName).toBeNull();
  });

  test('keeps to the times it is given, and refuses an end before the start', async () => {
    const times = { startDateTime: '2027-02-01T00:00:00Z', endDateTime: '2027-03-01T01:00:00+01:00' };
    expect((await add(times)).json).toMatchObject({
      startDateTime: '2027-02-01T00:00:00.000Z',
      endDateTime: '2027-03-01T00:00:00.000Z',
    });
    expectRefusal(await add({ endDateTime: '2026-12-31T00:00:00Z' }), 400, 'Request_BadRequest');
  });

  test('leaves the other passwords alone', async () => {
    const texts = [String((await add()).json['secretText']), String((await add()).json['secretText'])];
    const outcomes = texts.map((text) => cloud.applications.checkSecret(application().appId, text));
    expect(outcomes).toEqual(['live', 'live']);
    expect(texts[0]).not.toBe(texts[1]);
  });

  test('refuses a text of the client’s own, without repeating it', async () => {
    const answer = await add({ secretText: 'my-own-text' });
    expectRefusal(answer, 400, 'Request_BadRequest');
    expect(answer.text).not.toContain('my-own-text');
  });

  test('refuses what is no JSON', async () => {
    const answer = await post(`applications/${application().id}/addPassword`, '{"secretText": my-own');
    expectRefusal(answer, 400, 'BadRequest');
    expect(answer.text).not.toContain('my-own');
  });
});

describe('removePassword', () => {
  test('answers 204 with nothing, and the text is refused from then on', async () => {
    const { json } = await add();
    const check = () => cloud.applications.checkSecret(application().appId, String(json['secretText']));
    expect(check()).toBe('live');
    expect(await remove(String(json['keyId']).toUpperCase())).toMatchObject({ status: 204, text: '' });
    expect(check()).toBe('wrong');
  });

  test('what isn’t there can’t be removed', async () => {
    const answer = await remove('77777777-7777-4777-8777-777777777777');
    expectRefusal(answer, 400, 'Request_BadRequest');
    expect(answer.json['error']?.['message']).toBe('No credentials found to be removed.');
  });

  test('one of another application stays', async () => {
    const { json } = await post(`applications/${application('billing').id}/addPassword`, {});
    expect((await remove(json['keyId'])).status).toBe(400);
    expect(cloud.applications.passwordsOf(application('billing').id)).toHaveLength(1);
  });

  test('a key id is required', async () => {
    expectRefusal(await remove('not-a-guid'), 400, 'Request_BadRequest');
    expectRefusal(
      await post(`applications/${application().id}/removePassword`, {}),
      400,
      'Request_BadRequest',
    );
  });
});

describe('applications', () => {
  test('one is found by object id, and by client id in either form', async () => {
    const { id, appId } = application();
    expect((await get(`applications/${id}`)).json).toMatchObject({ id, appId, displayName: 'orders' });
    expect((await get(`applications(appId='${appId}')`)).json['id']).toBe(id);
    expect((await get(`applications(appId=%27${appId.toUpperCase()}%27)`)).json['id']).toBe(id);
    expect((await post(`applications(appId='${appId}')/addPassword`, {})).status).toBe(200);
  });

  test('a list is filtered and cut down to what was selected', async () => {
    const { json } = await get('applications');
    expect(json['value']).toHaveLength(2);
    const filter = encodeURIComponent(`appId eq '${application().appId}'`);
    expect((await get(`applications?$filter=${filter}&$select=id,displayName`)).json).toEqual({
      '@odata.context': `${graph}/v1.0/$metadata#applications(id,displayName)`,
      value: [{ id: application().id, displayName: 'orders' }],
    });
    expectRefusal(
      await get('applications?$filter=startswith(appId,%27x%27)'),
      400,
      'Request_UnsupportedQuery',
    );
    expectRefusal(await get('applications?$select=nothing'), 400, 'BadRequest');
  });

  test('one that isn’t there is 404, another path or method is refused', async () => {
    const { id } = application();
    const other = '88888888-8888-4888-8888-888888888888';
    expectRefusal(await get(`applications/${other}`), 404, 'Request_ResourceNotFound');
    expectRefusal(await get('users'), 400, 'BadRequest');
    expectRefusal(await get('applications/addPassword/addPassword'), 404, 'Request_ResourceNotFound');
    expectRefusal(await get('applications(appId=%27%)'), 400, 'BadRequest');
    expectRefusal(await get(`applications/${id}/addPassword`), 405, 'Request_BadRequest');
    expectRefusal(await post('applications', {}), 405, 'Request_BadRequest');
    expectRefusal(await post('applications/addPassword', {}), 404, 'Request_ResourceNotFound');
  });
});

describe('who may', () => {
  test('a token is needed, made out to Graph and valid', async () => {
    const path = `${graph}/v1.0/applications`;
    expectRefusal(await cloud.call(path), 401, 'InvalidAuthenticationToken');
    const elsewhere = await cloud.tokenOf('rotator', 'https://vault.azure.net');
    expectRefusal(await get('applications', elsewhere), 401, 'InvalidAuthenticationToken');
    const forged = `${token.slice(0, token.lastIndexOf('.'))}.${'A'.repeat(342)}`;
    expectRefusal(await get('applications', forged), 401, 'InvalidAuthenticationToken');
  });

  test('without the permission everything is 403, what isn’t there too', async () => {
    const nobody = await cloud.tokenOf('nobody', graph);
    expectRefusal(await get('applications', nobody), 403, 'Authorization_RequestDenied');
    expectRefusal(await add({}, nobody), 403, 'Authorization_RequestDenied');
    expectRefusal(await get('applications/unknown', nobody), 403, 'Authorization_RequestDenied');
    expect(cloud.applications.passwordsOf(application().id)).toHaveLength(0);
  });

  test('a permission for one application is for that one only', async () => {
    const one = await cloud.tokenOf('orders only', graph);
    expect((await add({}, one)).status).toBe(200);
    const other = `applications/${application('billing').id}/addPassword`;
    expectRefusal(await post(other, {}, one), 403, 'Authorization_RequestDenied');
    expect((await get('applications', one)).json['value']).toHaveLength(1);
  });
});

describe('the data folder', () => {
  test('passwords survive a restart, removed ones stay removed, and no text is in it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'graph-test-'));
    const restart = async () => {
      const log = openChangeLog(folder);
      const restarted = await startCloud(settings, { log, startAt });
      return { log, restarted };
    };
    const { id, appId } = application();
    const password = {
      displayName: null,
      startDateTime: '2027-01-01T00:00:00Z',
      endDateTime: '2028-01-01T00:00:00Z',
    };

    const first = await restart();
    const kept = first.restarted.applications.addPassword(id, password);
    const gone = first.restarted.applications.addPassword(id, password);
    first.restarted.applications.removePassword(id, gone.keyId);
    await first.restarted[Symbol.asyncDispose]();
    first.log.close();

    const written = await readFile(join(folder, 'changes.jsonl'), 'utf8');
    expect(written).toContain(kept.keyId);
    expect(written).not.toContain(kept.secretText);

    for (let times = 0; times < 2; times++) {
      const { log, restarted } = await restart();
      expect(restarted.applications.checkSecret(appId, kept.secretText)).toBe('live');
      expect(restarted.applications.checkSecret(appId, gone.secretText)).toBe('wrong');
      await restarted[Symbol.asyncDispose]();
      log.close();
    }
    await rm(folder, { recursive: true });
  });
});
