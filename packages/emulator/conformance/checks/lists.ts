import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import { manyVersionsOf, sampleOf } from '../sample.ts';
import type { Subject } from '../subject.ts';
import { listed, pageIn, set } from '../wire.ts';

const lists = dataPlane('"Lists: … base ids, sorted by name"');
const carries = dataPlane('"LIST carries updated per secret but no version ids"');

/** The entry of one secret in the list of all of them. */
async function entryOf(vault: Subject, name: string) {
  const entries = await listed(vault, '/secrets');
  const found = entries.filter(({ id }) => id.split('/')[4] === name);
  assert.equal(found.length, 1, `${name} is listed once`);
  return found[0];
}

export const listing: Theme = {
  name: 'lists',
  checks: [
    {
      name: 'an entry of the list of secrets has a base id, without a version',
      source: lists,
      run: async (vault) => {
        const { name } = await sampleOf(vault);
        assert.equal((await entryOf(vault, name))?.id, `${vault.url}/secrets/${name}`);
      },
    },
    {
      name: 'an entry says when the secret was updated, and nothing of its versions',
      source: carries,
      run: async (vault) => {
        const sample = await sampleOf(vault);
        const entry = await entryOf(vault, sample.name);
        assert.ok(Number.isInteger(entry?.attributes.updated), 'updated is in whole seconds');
        const text = JSON.stringify(entry);
        for (const { version } of [sample.older, sample.current])
          assert.ok(!text.includes(version), 'the entry holds no version id');
      },
    },
    {
      name: 'an entry describes the current version',
      source: carries,
      run: async (vault) => {
        const sample = await sampleOf(vault);
        const entry = await entryOf(vault, sample.name);
        assert.deepEqual([entry?.tags, entry?.contentType], [sample.tags, sample.contentType]);
      },
    },
    {
      name: 'no list has values in it',
      source: 'P: SecretItem has no value',
      run: async (vault) => {
        const sample = await sampleOf(vault);
        for (const path of ['/secrets', `/secrets/${sample.name}/versions`]) {
          const entries = await listed(vault, path);
          assert.ok(entries.length > 0, `${path} lists something`);
          const withValue = entries.filter((entry) => 'value' in entry).length;
          assert.equal(withValue, 0, `${withValue} entries of ${path} have a value`);
        }
      },
    },
    {
      name: 'plain secrets are not managed in the list either',
      source: dataPlane('"Plain secrets never have previousVersion or managed"'),
      run: async (vault) => {
        const { name } = await sampleOf(vault);
        assert.deepEqual(
          Object.keys((await entryOf(vault, name)) ?? {}).filter((key) => key === 'managed'),
          [],
        );
      },
    },
    {
      name: 'secrets are sorted by name, in whatever order they were set',
      source: lists,
      run: async (vault) => {
        const names = ['a', 'b', 'c'].map(() => vault.fresh()).toSorted();
        for (const name of names.toReversed()) await set(vault, name, { value: 'x' });
        const order = (await listed(vault, '/secrets')).map(({ id }) => id.split('/')[4] ?? '');
        assert.deepEqual(
          order.filter((name) => names.includes(name)),
          names,
        );
      },
    },
    {
      name: 'a disabled secret is listed as disabled',
      source: dataPlane('"If it is disabled, GET without version is 403"'),
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x', attributes: { enabled: false } });
        assert.equal((await entryOf(vault, name))?.attributes.enabled, false);
      },
    },
    {
      name: 'versions are sorted by their id, not by time',
      source: dataPlane('"Versions sort by version id, not time (R)"'),
      run: async (vault) => {
        const { name, versions } = await manyVersionsOf(vault);
        const ids = (await listed(vault, `/secrets/${name}/versions`)).map(({ id }) => id);
        assert.deepEqual(
          ids,
          versions.toSorted().map((version) => `${vault.url}/secrets/${name}/${version}`),
        );
      },
    },
    {
      name: 'versions of a name that doesn’t exist are an empty list, not an error',
      source: dataPlane('"Versions of a missing name: 200, empty list (R)"'),
      run: async (vault) => {
        const answer = await vault.call('GET', `/secrets/${vault.fresh()}/versions`);
        assert.deepEqual(pageIn(answer), { value: [], nextLink: null });
      },
    },
    {
      name: 'the client library finds a secret among all of them',
      source: carries,
      run: async (vault) => {
        const { name } = await sampleOf(vault);
        const found = [];
        for await (const secret of vault.client.listPropertiesOfSecrets())
          if (secret.name === name) found.push(secret);
        assert.deepEqual(
          found.map(({ version, vaultUrl }) => ({ version, vaultUrl })),
          [{ version: undefined, vaultUrl: vault.url }],
        );
      },
    },
  ],
};
