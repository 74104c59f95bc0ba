import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import { assertRefused, bundleIn, get, listed, set, versionOf } from '../wire.ts';

const wire = 'key-vault.md: Wire (E): "PATCH with an empty version updates the current one"';

export const updating: Theme = {
  name: 'update',
  checks: [
    {
      name: 'the answer to an update has no value in it',
      source: 'R: keyvault-secrets recordings, "can update a secret"',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'update-me' });
        const answer = await vault.call('PATCH', `/secrets/${name}/`, { body: { contentType: 'a' } });
        assert.equal(bundleIn(answer).contentType, 'a');
        assert.ok(!answer.text.includes('update-me'), 'the value is not in the answer');
      },
    },
    {
      name: 'an update changes what it names and nothing else',
      source: 'P: SecretUpdateParameters',
      run: async (vault) => {
        const name = vault.fresh();
        const attributes = { nbf: 1_700_000_000, exp: 1_900_000_000 };
        const before = await set(vault, name, {
          value: 'one',
          contentType: 'a',
          tags: { t: '1' },
          attributes,
        });
        await vault.call('PATCH', `/secrets/${name}/${versionOf(before)}`, { body: { contentType: 'b' } });
        const after = await get(vault, name);
        assert.deepEqual(
          { ...after, attributes: { ...after.attributes, updated: 0 } },
          { ...before, contentType: 'b', attributes: { ...before.attributes, updated: 0 } },
        );
      },
    },
    {
      name: 'an update without a version changes the current one only',
      source: wire,
      run: async (vault) => {
        const name = vault.fresh();
        const older = await set(vault, name, { value: 'one' });
        const current = await set(vault, name, { value: 'two' });
        const answer = bundleIn(
          await vault.call('PATCH', `/secrets/${name}/`, { body: { contentType: 'a' } }),
        );
        assert.equal(answer.id, current.id);
        assert.equal((await get(vault, name)).contentType, 'a');
        assert.equal((await get(vault, name, versionOf(older))).contentType, undefined);
      },
    },
    {
      name: 'the client library updates the current version when it is given none',
      source: wire,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'one' });
        const current = await set(vault, name, { value: 'two' });
        const updated = await vault.client.updateSecretProperties(name, '', { tags: { seen: 'yes' } });
        assert.equal(updated.version, versionOf(current));
        assert.deepEqual((await get(vault, name)).tags, { seen: 'yes' });
      },
    },
    {
      name: 'an update makes no version',
      source: dataPlane('"Current version = newest set"'),
      run: async (vault) => {
        const name = vault.fresh();
        const only = await set(vault, name, { value: 'one' });
        await vault.call('PATCH', `/secrets/${name}/`, { body: { tags: { a: 'b' } } });
        const versions = await listed(vault, `/secrets/${name}/versions`);
        assert.deepEqual(versions.map(versionOf), [versionOf(only)]);
        assert.deepEqual(versions[0]?.tags, { a: 'b' });
      },
    },
    {
      name: 'an update moves updated and keeps created',
      source: 'P: SecretAttributes; R: "can update a disabled secret"',
      run: async (vault) => {
        const name = vault.fresh();
        const { created } = (await set(vault, name, { value: 'one' })).attributes;
        await vault.until('updated is later than created', async () => {
          const answer = await vault.call('PATCH', `/secrets/${name}/`, { body: { tags: { a: 'b' } } });
          const { attributes } = bundleIn(answer);
          assert.equal(attributes.created, created);
          return attributes.updated > created;
        });
      },
    },
    {
      name: 'a disabled version can be updated',
      source: 'R: keyvault-secrets recordings, "can update a disabled secret"',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'one', attributes: { enabled: false } });
        const body = { attributes: { exp: 1_900_000_000 } };
        const { attributes } = bundleIn(await vault.call('PATCH', `/secrets/${name}/`, { body }));
        assert.deepEqual([attributes.enabled, attributes.exp], [false, 1_900_000_000]);
      },
    },
    {
      name: 'an update of a secret or a version that doesn’t exist is 404 SecretNotFound',
      source: dataPlane('"404 SecretNotFound"'),
      run: async (vault) => {
        const name = vault.fresh();
        const notFound = { status: 404, code: 'SecretNotFound' };
        const body = { tags: {} };
        assertRefused(await vault.call('PATCH', `/secrets/${name}/`, { body }), notFound);
        await set(vault, name, { value: 'one' });
        const path = `/secrets/${name}/${'0'.repeat(32)}`;
        assertRefused(await vault.call('PATCH', path, { body }), notFound);
      },
    },
  ],
};
