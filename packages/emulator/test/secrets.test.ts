import { request } from 'node:https';
import { SecretClient } from '@azure/keyvault-secrets';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startEmulator, type Emulator } from '../src/index.ts';
import { collect } from './collect.ts';
import { call, nextLink, tokenOf } from './raw-call.ts';

let vault: Emulator;
let client: SecretClient;

beforeEach(async () => {
  vault = await startEmulator({
    vaults: [{ name: 'orders' }],
    startAt: new Date('2027-01-15T12:00:00.700Z'),
  });
  vault.clock.stop();
  client = new SecretClient(vault.vaultUrl, vault.credential, vault.clientOptions);
});
afterEach(() => vault.close());

const v = 'api-version=7.6';

describe('set and get', () => {
  test('a secret comes back with everything that was set', async () => {
    const expiresOn = new Date('2027-06-01T00:00:00Z');
    const set = await client.setSecret('orders-db', 'pässwörd 🔑', {
      contentType: 'text/plain',
      tags: { owner: 'billing' },
      expiresOn,
    });
    const got = await client.getSecret('orders-db');
    expect(got).toMatchObject({
      name: 'orders-db',
      value: 'pässwörd 🔑',
      properties: {
        version: set.properties.version,
        contentType: 'text/plain',
        tags: { owner: 'billing' },
        enabled: true,
        expiresOn,
        createdOn: new Date('2027-01-15T12:00:00Z'),
        updatedOn: new Date('2027-01-15T12:00:00Z'),
        recoveryLevel: 'Recoverable+Purgeable',
        recoverableDays: 90,
        vaultUrl: 'https://orders.vault.azure.net',
      },
    });
    expect(got.properties.version).toMatch(/^[0-9a-f]{32}$/);
  });

  test('the current version is the newest set, and older ones stay readable', async () => {
    const first = await client.setSecret('key', 'one');
    const second = await client.setSecret('key', 'two');
    expect((await client.getSecret('key')).value).toBe('two');
    expect((await client.getSecret('key')).properties.version).toBe(second.properties.version);
    const old = await client.getSecret('key', { version: first.properties.version ?? '' });
    expect(old.value).toBe('one');
  });

  test('fifty sets at once make fifty versions, one of them current', async () => {
    const sets = await Promise.all(
      Array.from({ length: 50 }, (_, index) => client.setSecret('busy', `value ${index}`)),
    );
    const listed = await collect(client.listPropertiesOfSecretVersions('busy'));
    expect(new Set(listed.map((version) => version.version)).size).toBe(50);
    const current = await client.getSecret('busy');
    const setAs = sets.find((set) => set.properties.version === current.properties.version);
    expect(setAs?.value).toBe(current.value);
  });

  test('names don’t differ by case', async () => {
    await client.setSecret('Orders-DB', 'one');
    await client.setSecret('orders-db', 'two');
    expect((await client.getSecret('ORDERS-DB')).value).toBe('two');
    expect((await collect(client.listPropertiesOfSecrets())).map((secret) => secret.name)).toEqual([
      'Orders-DB',
    ]);
  });

  test('a name or version that doesn’t exist is 404 SecretNotFound', async () => {
    await client.setSecret('here', 'x');
    await expect(client.getSecret('nowhere')).rejects.toMatchObject({
      statusCode: 404,
      code: 'SecretNotFound',
    });
    await expect(client.getSecret('here', { version: '0'.repeat(32) })).rejects.toMatchObject({
      statusCode: 404,
      code: 'SecretNotFound',
    });
  });

  test('a disabled current version is 403, even when an older one is enabled', async () => {
    const older = await client.setSecret('key', 'one');
    await client.setSecret('key', 'two', { enabled: false });
    await expect(client.getSecret('key')).rejects.toMatchObject({
      statusCode: 403,
      code: 'Forbidden',
      message: 'Operation get is not allowed on a disabled secret.',
      details: { error: { innerError: { code: 'SecretDisabled' } } },
    });
    expect((await client.getSecret('key', { version: older.properties.version ?? '' })).value).toBe('one');
  });

  test('an expired secret and one that isn’t valid yet are still served', async () => {
    await client.setSecret('old', 'x', { expiresOn: new Date('2020-01-01') });
    await client.setSecret('young', 'y', { notBefore: new Date('2037-01-01') });
    expect((await client.getSecret('old')).value).toBe('x');
    expect((await client.getSecret('young')).value).toBe('y');
  });
});

describe('update', () => {
  test('it changes what it names and nothing else', async () => {
    const set = await client.setSecret('key', 'one', { contentType: 'a', tags: { t: '1' } });
    await vault.clock.set(new Date('2027-01-15T12:05:00Z'));
    const updated = await client.updateSecretProperties('key', set.properties.version ?? '', {
      contentType: 'b',
    });
    expect(updated).toMatchObject({
      contentType: 'b',
      tags: { t: '1' },
      createdOn: new Date('2027-01-15T12:00:00Z'),
      updatedOn: new Date('2027-01-15T12:05:00Z'),
    });
    expect((await client.getSecret('key')).value).toBe('one');
  });

  test('without a version it changes the current one', async () => {
    const older = await client.setSecret('key', 'one');
    await client.setSecret('key', 'two');
    await client.updateSecretProperties('key', '', { enabled: false });
    await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 403 });
    expect((await client.getSecret('key', { version: older.properties.version ?? '' })).value).toBe('one');
  });

  test('updating an old version doesn’t make it current', async () => {
    const older = await client.setSecret('key', 'one');
    await client.setSecret('key', 'two');
    await client.updateSecretProperties('key', older.properties.version ?? '', { tags: { seen: 'yes' } });
    expect((await client.getSecret('key')).value).toBe('two');
  });

  test('the answer has no value in it', async () => {
    await client.setSecret('key', 'one');
    const answer = await call(vault, `/secrets/key/?${v}`, { method: 'PATCH', body: { tags: {} } });
    expect(answer.status).toBe(200);
    expect(answer.json).not.toHaveProperty('value');
  });
});

describe('lists', () => {
  test('versions come sorted by id, in pages, each once', async () => {
    for (let index = 0; index < 30; index += 1) await client.setSecret('key', String(index));
    const pages = await collect(client.listPropertiesOfSecretVersions('key').byPage({ maxPageSize: 7 }));
    expect(pages.map((page) => page.length)).toEqual([7, 7, 7, 7, 2]);
    const ids = pages.flat().map((version) => version.version ?? '');
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(30);
  });

  test('secrets come sorted by name, described by their current version, without a version id', async () => {
    await client.setSecret('b', '1', { tags: { n: 'old' } });
    await client.setSecret('b', '2', { tags: { n: 'new' } });
    await client.setSecret('a', '3');
    const answer = await call(vault, `/secrets?${v}`);
    expect(answer.json).toMatchObject({
      value: [
        { id: 'https://orders.vault.azure.net/secrets/a' },
        { id: 'https://orders.vault.azure.net/secrets/b', tags: { n: 'new' } },
      ],
      nextLink: null,
    });
    expect(answer.text).not.toContain('"value":"');
  });

  test('the next link is absolute, with port and skip token, and leads on', async () => {
    for (const name of ['a', 'b', 'c']) await client.setSecret(name, 'x');
    const first = await call(vault, `/secrets?api%2Dversion=7.6&maxresults=2`);
    expect(first.json['nextLink']).toMatch(
      /^https:\/\/orders\.vault\.azure\.net:443\/secrets\?.*\$skiptoken=./,
    );
    const rest = await call(vault, nextLink(first));
    expect(rest.json).toMatchObject({
      value: [{ id: 'https://orders.vault.azure.net/secrets/c' }],
      nextLink: null,
    });
  });

  test('a direct caller gets a next link to where it came in', async () => {
    for (const name of ['a', 'b']) await client.setSecret(name, 'x');
    const first = await call(vault, `${vault.directUrl}/secrets?${v}&maxresults=1`);
    expect(nextLink(first).startsWith(`${vault.directUrl}/secrets?`)).toBe(true);
  });

  test('versions of a name that doesn’t exist are an empty list', async () => {
    const answer = await call(vault, `/secrets/nowhere/versions?${v}`);
    expect(answer).toMatchObject({ status: 200, json: { value: [], nextLink: null } });
  });

  test.each(['0', '26', 'many', '1.5'])('a page size of %s is refused', async (size) => {
    const answer = await call(vault, `/secrets?${v}&maxresults=${size}`);
    expect(answer).toMatchObject({ status: 400, json: { error: { code: 'BadParameter' } } });
  });
});

describe('delete', () => {
  test('a deleted secret can be recovered, with all its versions', async () => {
    await client.setSecret('key', 'one');
    await client.setSecret('key', 'two');
    const deleted = await (await client.beginDeleteSecret('key', { intervalInMs: 1 })).pollUntilDone();
    expect(deleted.properties).toMatchObject({
      recoveryId: 'https://orders.vault.azure.net/deletedsecrets/key',
      deletedOn: new Date('2027-01-15T12:00:00Z'),
      scheduledPurgeDate: new Date('2027-04-15T12:00:00Z'),
    });
    expect(deleted).not.toHaveProperty('value', 'two');
    await expect(client.getSecret('key')).rejects.toMatchObject({ statusCode: 404 });
    await expect(client.setSecret('key', 'three')).rejects.toMatchObject({
      statusCode: 409,
      details: { error: { innerError: { code: 'ObjectIsDeletedButRecoverable' } } },
    });
    await (await client.beginRecoverDeletedSecret('key', { intervalInMs: 1 })).pollUntilDone();
    expect((await client.getSecret('key')).value).toBe('two');
    expect(await collect(client.listPropertiesOfSecretVersions('key'))).toHaveLength(2);
  });

  test('a purged secret is gone, and its name is free', async () => {
    await client.setSecret('key', 'one');
    await client.beginDeleteSecret('key', { intervalInMs: 1 });
    expect((await collect(client.listDeletedSecrets())).map((secret) => secret.name)).toEqual(['key']);
    await client.purgeDeletedSecret('key');
    await expect(client.getDeletedSecret('key')).rejects.toMatchObject({
      statusCode: 404,
      message: 'Deleted Secret not found: key',
    });
    await client.setSecret('key', 'two');
    expect(await collect(client.listPropertiesOfSecretVersions('key'))).toHaveLength(1);
  });

  test('after ninety days a deleted secret purges itself', async () => {
    await client.setSecret('key', 'one');
    await client.beginDeleteSecret('key', { intervalInMs: 1 });
    await vault.clock.set(new Date('2027-04-15T12:00:01Z'));
    await expect(client.getDeletedSecret('key')).rejects.toMatchObject({ statusCode: 404 });
    expect(await collect(client.listDeletedSecrets())).toEqual([]);
  });
});

describe('limits', () => {
  test('a value of 25,600 characters fits, one more doesn’t', async () => {
    await client.setSecret('key', 'x'.repeat(25_600));
    await expect(client.setSecret('key', 'x'.repeat(25_601))).rejects.toMatchObject({
      statusCode: 400,
      code: 'BadParameter',
      message: 'Secret is beyond the maximum permitted length of 25600 characters.',
      details: { error: { innerError: { code: 'SecretTooLarge' } } },
    });
  });

  test.each([
    ['sixteen tags', { tags: Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`t${n}`, 'x'])) }],
    ['a long tag name', { tags: { ['t'.repeat(513)]: 'x' } }],
    ['a long tag value', { tags: { t: 'x'.repeat(513) } }],
    ['a long content type', { contentType: 'c'.repeat(256) }],
    ['a time before 1970', { attributes: { exp: -5 } }],
    ['no value', { value: undefined }],
  ])('%s is 400 BadParameter, and the answer doesn’t repeat the value', async (_, properties) => {
    const body = { value: 'do-not-repeat', ...properties };
    const answer = await call(vault, `/secrets/key?${v}`, { method: 'PUT', body });
    expect(answer).toMatchObject({ status: 400, json: { error: { code: 'BadParameter' } } });
    expect(answer.text).not.toContain('do-not-repeat');
  });

  test('a chunked body needs no Content-Length, and has the same limit', async () => {
    const set = (body: string) =>
      call(vault, `/secrets/key?${v}`, { method: 'PUT', body, headers: { 'Transfer-Encoding': 'chunked' } });
    expect((await set('{"value":"in chunks"}')).status).toBe(200);
    expect((await client.getSecret('key')).value).toBe('in chunks');
    expect((await set(`{"value":"${'x'.repeat(1_100_000)}"}`)).status).toBe(413);
  });

  test('an upload that breaks off has set nothing, and is no failure of the emulator', async () => {
    const hints: string[] = [];
    await using other = await startEmulator({ onHint: (line) => hints.push(line) });
    const upload = request(`${other.vaultUrl}/secrets/key?${v}`, {
      agent: other.clientOptions.agent,
      method: 'PUT',
      headers: { Authorization: `Bearer ${await tokenOf(other)}`, 'Content-Length': '100' },
    });
    upload.on('error', () => {});
    upload.write('{"value":"half');
    setTimeout(() => upload.destroy(), 100);
    await expect.poll(() => other.audit.events()).toHaveLength(1);
    expect(other.audit.events()[0]).toMatchObject({ operationName: 'SecretSet', resultType: 'Failed' });
    expect(hints).toEqual([]);
  });

  test('a body that isn’t JSON is refused without being quoted', async () => {
    const answer = await call(vault, `/secrets/key?${v}`, {
      method: 'PUT',
      body: '{"value": do-not-repeat}',
    });
    expect(answer).toMatchObject({ status: 400, json: { error: { code: 'BadParameter' } } });
    expect(answer.text).not.toContain('do-not-repeat');
  });

  test.each(['under_score', 'x'.repeat(128), 'sp%20ace'])('the name %s is refused', async (name) => {
    const answer = await call(vault, `/secrets/${name}?${v}`);
    expect(answer).toMatchObject({
      status: 400,
      json: {
        error: {
          code: 'BadParameter',
          message: `The request URI contains an invalid name: ${decodeURIComponent(name)}`,
        },
      },
    });
  });

  test('HEAD is 405, and no get in the audit log', async () => {
    await client.setSecret('key', 'one');
    expect((await call(vault, `/secrets/key?${v}`, { method: 'HEAD' })).status).toBe(405);
    expect(vault.audit.events().map(({ operationName }) => operationName)).not.toContain('SecretGet');
  });

  test('a set without a name is 405 MethodNotAllowed', async () => {
    const answer = await call(vault, `/secrets/?${v}`, { method: 'PUT', body: { value: 'x' } });
    expect(answer).toMatchObject({ status: 405, json: { error: { code: 'MethodNotAllowed' } } });
  });

  test.each(['', '?api-version=1.0'])('an api-version is required and checked: "%s"', async (query) => {
    expect(await call(vault, `/secrets/key${query}`)).toMatchObject({
      status: 400,
      json: { error: { code: 'BadParameter' } },
    });
  });
});

describe('backup and restore', () => {
  const backUp = async (name: string): Promise<Uint8Array> => {
    const blob = await client.backupSecret(name);
    if (blob === undefined) throw new Error('There is no backup.');
    return blob;
  };
  const remove = async (name: string): Promise<void> => {
    const poller = await client.beginDeleteSecret(name, { intervalInMs: 1 });
    await poller.pollUntilDone();
    await client.purgeDeletedSecret(name);
  };

  test('all versions come back as they were, with their ids and the same one current', async () => {
    const first = await client.setSecret('key', 'one', { tags: { a: '1' } });
    const second = await client.setSecret('key', 'two', { enabled: false });
    const blob = await backUp('key');
    await remove('key');
    await client.restoreSecretBackup(blob);
    const old = await client.getSecret('key', { version: first.properties.version ?? '' });
    expect(old).toMatchObject({ value: 'one', properties: { tags: { a: '1' } } });
    await expect(client.getSecret('key')).rejects.toThrow('disabled');
    const versions = await collect(client.listPropertiesOfSecretVersions('key'));
    expect(new Set(versions.map(({ version }) => version))).toEqual(
      new Set([first, second].map(({ properties }) => properties.version)),
    );
  });

  test('a backup of many large versions comes back, too', async () => {
    for (let number = 0; number < 50; number += 1) await client.setSecret('large', 'x'.repeat(25_600));
    const backup = await client.backupSecret('large');
    await (await client.beginDeleteSecret('large', { intervalInMs: 1 })).pollUntilDone();
    await client.purgeDeletedSecret('large');
    await client.restoreSecretBackup(backup ?? new Uint8Array());
    expect(await collect(client.listPropertiesOfSecretVersions('large'))).toHaveLength(50);
  });

  test('a name that is in use, or deleted and not yet purged, is a conflict', async () => {
    await client.setSecret('key', 'one');
    const blob = await backUp('key');
    await expect(client.restoreSecretBackup(blob)).rejects.toMatchObject({ statusCode: 409 });
    await (await client.beginDeleteSecret('key', { intervalInMs: 1 })).pollUntilDone();
    await expect(client.restoreSecretBackup(blob)).rejects.toMatchObject({
      details: { error: { innerError: { code: 'ObjectIsDeletedButRecoverable' } } },
    });
  });

  test('no value can be read in a blob, and one that was changed is refused', async () => {
    await client.setSecret('key', 'very-secret');
    const blob = await backUp('key');
    expect(Buffer.from(blob).toString('latin1')).not.toContain('very-secret');
    await remove('key');
    blob.set([blob.at(-1) === 0 ? 1 : 0], blob.length - 1);
    await expect(client.restoreSecretBackup(blob)).rejects.toMatchObject({
      statusCode: 400,
      code: 'Malformed backup blob',
      message: 'Backup blob contains invalid or corrupt version.',
    });
  });
});

describe('every answer', () => {
  test('it carries the service’s headers', async () => {
    const { headers } = await call(vault, `/secrets?${v}`, { headers: { 'x-ms-client-request-id': 'mine' } });
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-cache',
      pragma: 'no-cache',
      expires: '-1',
      'x-ms-client-request-id': 'mine',
      'x-content-type-options': 'nosniff',
      'strict-transport-security': 'max-age=31536000;includeSubDomains',
    });
    expect(headers['x-ms-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('another vault’s name is not served from this one', async () => {
    const answer = await call(vault, `/secrets?${v}`, { headers: { Host: 'other.vault.azure.net' } });
    expect(answer.status).toBe(421);
  });
});
