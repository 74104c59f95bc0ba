import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import { bundleIn, get, listed, set, versionOf } from '../wire.ts';

const informational = dataPlane('"nbf and exp are informational for secrets"');
const past = 1_577_836_800; // 2020-01-01
const future = 2_114_380_800; // 2037-01-01, below what the client library can send

export const attributes: Theme = {
  name: 'attributes and expiry',
  checks: [
    {
      name: 'an expired secret is still served',
      source: informational,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'old', attributes: { exp: past } });
        assert.equal((await get(vault, name)).value, 'old');
      },
    },
    {
      name: 'a secret that isn’t valid yet is still served',
      source: informational,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'young', attributes: { nbf: future } });
        assert.equal((await get(vault, name)).value, 'young');
      },
    },
    {
      name: 'an expired version is still served by its id',
      source: informational,
      run: async (vault) => {
        const name = vault.fresh();
        const body = { value: 'old', attributes: { nbf: past, exp: past + 60 } };
        const version = versionOf(await set(vault, name, body));
        await set(vault, name, { value: 'new' });
        assert.equal((await get(vault, name, version)).value, 'old');
      },
    },
    {
      name: 'an expired secret stays in the lists',
      source: informational,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'old', attributes: { exp: past } });
        const [version] = await listed(vault, `/secrets/${name}/versions`);
        assert.deepEqual([version?.attributes.enabled, version?.attributes.exp], [true, past]);
      },
    },
    {
      name: 'nbf and exp come back as they were set',
      source: 'P: SecretAttributes, epoch seconds',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x', attributes: { nbf: past, exp: future } });
        const answer = (await get(vault, name)).attributes;
        assert.deepEqual([answer.nbf, answer.exp], [past, future]);
      },
    },
    {
      name: 'dates come back through the client library as they went in',
      source: 'P: SecretAttributes; key-vault.md: SDK bugs (E): "expiresOn/notBefore go through |0"',
      run: async (vault) => {
        const name = vault.fresh();
        const dates = { notBefore: new Date(past * 1000), expiresOn: new Date(future * 1000) };
        await vault.client.setSecret(name, 'x', dates);
        const { notBefore, expiresOn } = (await vault.client.getSecret(name)).properties;
        assert.deepEqual({ notBefore, expiresOn }, dates);
      },
    },
    {
      name: 'an expiry beyond 2038 is kept: the vault counts further than the client library',
      source: 'R: "can update a disabled secret" (exp 32503680000); key-vault.md: SDK bugs (E): "|0"',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x', attributes: { exp: 32_503_680_000 } });
        assert.equal((await get(vault, name)).attributes.exp, 32_503_680_000);
      },
    },
    {
      name: 'an expiry can be moved by an update',
      source: 'P: SecretUpdateParameters',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x', attributes: { exp: past } });
        const body = { attributes: { exp: future } };
        bundleIn(await vault.call('PATCH', `/secrets/${name}/`, { body }));
        const answer = await get(vault, name);
        assert.deepEqual([answer.attributes.exp, answer.attributes.enabled], [future, true]);
      },
    },
    {
      name: 'times belong to a version: the next set has none',
      source: 'P: SecretAttributes; R: recorded sets',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x', attributes: { nbf: past, exp: past + 60 } });
        const next = (await set(vault, name, { value: 'y' })).attributes;
        assert.deepEqual([next.nbf, next.exp], [undefined, undefined]);
      },
    },
  ],
};
