import assert from 'node:assert/strict';
import type { Check, Theme } from '../check.ts';
import { sampleOf } from '../sample.ts';
import { recorder } from '../wire-recorder.ts';
import { assertRefused, bundleIn, pageIn } from '../wire.ts';

const newest = 'key-vault.md: "REST spec (newest stable 2026-04-01)" (P)';

const spoken = (version: string): Check => ({
  name: `api-version ${version} sets, gets, updates and lists`,
  source: newest,
  run: async (vault) => {
    const name = vault.fresh();
    const query = `?api-version=${version}`;
    const path = `/secrets/${name}`;
    const { id } = bundleIn(await vault.call('PUT', path + query, { body: { value: version } }));
    assert.equal(bundleIn(await vault.call('GET', path + query)).value, version);
    const updated = await vault.call('PATCH', `${path}/${query}`, { body: { contentType: 'a' } });
    assert.equal(bundleIn(updated).contentType, 'a');
    const { value } = pageIn(await vault.call('GET', `${path}/versions${query}`));
    assert.deepEqual(
      value.map((entry) => entry.id),
      [id],
    );
  },
});

export const apiVersions: Theme = {
  name: 'api-versions',
  checks: [
    ...['7.4', '7.5', '7.6', '2025-07-01', '2026-04-01'].map(spoken),
    {
      name: 'the query key may be written api%2Dversion',
      source: 'key-vault.md: Wire (E): "The query key is sent as api%2Dversion="',
      run: async (vault) => {
        const { name, current } = await sampleOf(vault);
        const answer = await vault.call('GET', `/secrets/${name}?api%2Dversion=7.6`);
        assert.equal(bundleIn(answer).value, current.value);
      },
    },
    {
      name: 'the client library does write it so, with a slash where the version would be',
      source: 'key-vault.md: Wire (E): "get and update without a version send a trailing slash"',
      run: async (vault) => {
        const { name, current } = await sampleOf(vault);
        const { policy, sent } = recorder();
        const client = vault.newClient({ additionalPolicies: [policy] });
        assert.equal((await client.getSecret(name)).value, current.value);
        assert.match(sent.at(-1)?.target ?? '', new RegExp(`^/secrets/${name}/\\?api%2Dversion=`));
      },
    },
    {
      name: 'a client of an older version gets the same secret',
      source: newest,
      run: async (vault) => {
        const { name, current } = await sampleOf(vault);
        const client = vault.newClient({ serviceVersion: '7.5' });
        assert.equal((await client.getSecret(name)).value, current.value);
      },
    },
    {
      name: 'an api-version that there never was is 400 BadParameter and is named',
      source: 'R: Azure/azure-sdk-for-python#28595: "The specified version (7.3) is not recognized."',
      run: async (vault) => {
        const answer = await vault.call('GET', '/secrets?api-version=1.0');
        assertRefused(answer, { status: 400, code: 'BadParameter' });
        assert.match(answer.text, /The specified version \(1\.0\) is not recognized\./);
      },
    },
  ],
};
