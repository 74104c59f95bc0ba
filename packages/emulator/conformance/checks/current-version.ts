import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import { sampleOf } from '../sample.ts';
import type { Subject } from '../subject.ts';
import { assertRefused, assertRejected, bundleIn, get, set, versionOf } from '../wire.ts';

const newest = dataPlane('"Current version = newest set"');
const disabled = dataPlane('"If it is disabled, GET without version is 403 Forbidden/SecretDisabled"');
const secretDisabled = { status: 403, code: 'Forbidden', inner: 'SecretDisabled' };

async function withDisabledCurrent(vault: Subject) {
  const name = vault.fresh();
  const older = versionOf(await set(vault, name, { value: 'one' }));
  const current = versionOf(await set(vault, name, { value: 'two', attributes: { enabled: false } }));
  return { name, older, current };
}

const update = async (vault: Subject, path: string, enabled: boolean) =>
  bundleIn(await vault.call('PATCH', `/secrets/${path}`, { body: { attributes: { enabled } } }));

export const currentVersion: Theme = {
  name: 'get, versions and the current version',
  checks: [
    {
      name: 'get without a version answers with the newest set',
      source: newest,
      run: async (vault) => {
        const { name, current } = await sampleOf(vault);
        const answer = await get(vault, name);
        assert.deepEqual([answer.value, versionOf(answer)], [current.value, current.version]);
      },
    },
    {
      name: 'an older version stays readable by its id',
      source: newest,
      run: async (vault) => {
        const { name, older } = await sampleOf(vault);
        const answer = await get(vault, name, older.version);
        assert.deepEqual([answer.value, versionOf(answer)], [older.value, older.version]);
      },
    },
    {
      name: 'the path with and without a slash at the end are the same',
      source: 'key-vault.md: Wire (E): "get and update without a version send a trailing slash"',
      run: async (vault) => {
        const { name, current } = await sampleOf(vault);
        const withSlash = bundleIn(await vault.call('GET', `/secrets/${name}/`));
        const without = bundleIn(await vault.call('GET', `/secrets/${name}`));
        assert.deepEqual(withSlash, without);
        assert.equal(versionOf(without), current.version);
      },
    },
    {
      name: 'a disabled current version is 403 SecretDisabled, even when an older one is enabled',
      source: disabled,
      run: async (vault) => {
        const { name } = await withDisabledCurrent(vault);
        assertRefused(await vault.call('GET', `/secrets/${name}`), {
          ...secretDisabled,
          message: 'Operation get is not allowed on a disabled secret.',
        });
      },
    },
    {
      name: 'the client library reports a disabled secret as Forbidden with SecretDisabled inside',
      source: 'key-vault.md: SDK bugs (E): "The inner code is at e.details.error.innerError.code"',
      run: async (vault) => {
        const { name } = await withDisabledCurrent(vault);
        await assertRejected(vault.client.getSecret(name), {
          status: 403,
          code: 'Forbidden',
          inner: 'SecretDisabled',
        });
      },
    },
    {
      name: 'an older enabled version is readable while the current one is disabled',
      source: disabled,
      run: async (vault) => {
        const { name, older } = await withDisabledCurrent(vault);
        assert.equal((await get(vault, name, older)).value, 'one');
      },
    },
    {
      name: 'a disabled version is 403 by its id as well',
      source: `${disabled}; P: attributes.enabled`,
      run: async (vault) => {
        const { name, current } = await withDisabledCurrent(vault);
        assertRefused(await vault.call('GET', `/secrets/${name}/${current}`), secretDisabled);
      },
    },
    {
      name: 'the current version is readable again once it is enabled',
      source: disabled,
      run: async (vault) => {
        const { name, current } = await withDisabledCurrent(vault);
        await update(vault, `${name}/${current}`, true);
        assert.equal((await get(vault, name)).value, 'two');
      },
    },
    {
      name: 'a new set takes over from a disabled current version',
      source: newest,
      run: async (vault) => {
        const { name } = await withDisabledCurrent(vault);
        const third = await set(vault, name, { value: 'three' });
        const answer = await get(vault, name);
        assert.deepEqual([answer.value, versionOf(answer)], ['three', versionOf(third)]);
      },
    },
    {
      name: 'disabling an older version leaves the current one alone',
      source: newest,
      run: async (vault) => {
        const name = vault.fresh();
        const older = versionOf(await set(vault, name, { value: 'one' }));
        await set(vault, name, { value: 'two' });
        await update(vault, `${name}/${older}`, false);
        assert.equal((await get(vault, name)).value, 'two');
        assertRefused(await vault.call('GET', `/secrets/${name}/${older}`), secretDisabled);
      },
    },
    {
      name: 'an update of an older version doesn’t make it the current one',
      source: newest,
      run: async (vault) => {
        const name = vault.fresh();
        const older = versionOf(await set(vault, name, { value: 'one' }));
        const current = versionOf(await set(vault, name, { value: 'two' }));
        await update(vault, `${name}/${older}`, true);
        assert.equal(versionOf(await get(vault, name)), current);
      },
    },
    {
      name: 'a secret that doesn’t exist is 404 SecretNotFound, in the service’s words',
      source: `${dataPlane('"404 SecretNotFound"')}; text R`,
      run: async (vault) => {
        const name = vault.fresh();
        assertRefused(await vault.call('GET', `/secrets/${name}`), {
          status: 404,
          code: 'SecretNotFound',
          message:
            `A secret with (name/id) ${name} was not found in this key vault. ` +
            'If you recently deleted this secret you may be able to recover it using the correct recovery command. ' +
            'For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182',
        });
      },
    },
    {
      name: 'a version that doesn’t exist is 404 SecretNotFound',
      source: dataPlane('"404 SecretNotFound"'),
      run: async (vault) => {
        const { name } = await sampleOf(vault);
        assertRefused(await vault.call('GET', `/secrets/${name}/${'0'.repeat(32)}`), {
          status: 404,
          code: 'SecretNotFound',
        });
      },
    },
    {
      name: 'a version is found under its own secret only',
      source: dataPlane('"404 SecretNotFound"'),
      run: async (vault) => {
        const { older } = await sampleOf(vault);
        const name = vault.fresh();
        await set(vault, name, { value: 'another' });
        const answer = await vault.call('GET', `/secrets/${name}/${older.version}`);
        assertRefused(answer, { status: 404, code: 'SecretNotFound' });
      },
    },
    {
      name: 'there is no conditional GET: no ETag, and If-None-Match gets the value',
      source: dataPlane('"no conditional GET was found"'),
      run: async (vault) => {
        const { name, current } = await sampleOf(vault);
        const answer = await vault.call('GET', `/secrets/${name}`, { headers: { 'If-None-Match': '*' } });
        assert.equal(bundleIn(answer).value, current.value);
        assert.equal(answer.headers.etag, undefined);
      },
    },
  ],
};
