import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import type { Subject } from '../subject.ts';
import { recorder } from '../wire-recorder.ts';
import { assertRefused, bundleIn, deleted, get, listed, recovered, set, versionOf } from '../wire.ts';

const asynchronous = dataPlane('"Soft delete and recover are asynchronous"');

/** A deleted secret that had two versions. */
async function deletedPair(vault: Subject, properties: object = {}) {
  const name = vault.fresh();
  const older = await set(vault, name, { value: 'one', tags: { a: 'b' } });
  const current = await set(vault, name, { value: 'two', ...properties });
  await deleted(vault, name);
  return { name, older, current };
}

export const recovering: Theme = {
  name: 'recover',
  checks: [
    {
      name: 'the answer to a recover describes the current version, without the value',
      source: 'R: keyvault-secrets recordings, "can recover a deleted secret"',
      run: async (vault) => {
        const { name, current } = await deletedPair(vault, { contentType: 'a' });
        const answer = bundleIn(await vault.call('POST', `/deletedsecrets/${name}/recover`));
        assert.equal(answer.id, current.id);
        assert.equal(answer.contentType, 'a');
        assert.deepEqual(
          Object.keys(answer).filter((key) => /^(value|recoveryId|deletedDate)$/.test(key)),
          [],
        );
        const path = `/secrets/${name}`;
        await vault.until('the secret is back', async () => (await vault.call('GET', path)).status === 200);
      },
    },
    {
      name: 'a recovered secret is back with every version, as it was',
      source: asynchronous,
      run: async (vault) => {
        const { name, older, current } = await deletedPair(vault, { contentType: 'a' });
        await recovered(vault, name);
        assert.deepEqual(await get(vault, name), current);
        assert.deepEqual(await get(vault, name, versionOf(older)), older);
        const versions = (await listed(vault, `/secrets/${name}/versions`)).map(versionOf);
        assert.deepEqual(versions, [older, current].map(versionOf).toSorted());
      },
    },
    {
      name: 'a recovered secret is no longer among the deleted ones',
      source: asynchronous,
      run: async (vault) => {
        const { name } = await deletedPair(vault);
        await recovered(vault, name);
        const path = `/deletedsecrets/${name}`;
        await vault.until(
          'the recovery is through',
          async () => (await vault.call('GET', path)).status === 404,
        );
        assertRefused(await vault.call('GET', path), { status: 404, code: 'SecretNotFound' });
      },
    },
    {
      name: 'a recovered secret takes new versions',
      source: asynchronous,
      run: async (vault) => {
        const { name } = await deletedPair(vault);
        await recovered(vault, name);
        await set(vault, name, { value: 'three' });
        assert.equal((await get(vault, name)).value, 'three');
        assert.equal((await listed(vault, `/secrets/${name}/versions`)).length, 3);
      },
    },
    {
      name: 'a secret that is disabled comes back disabled',
      source: dataPlane('"If it is disabled, GET without version is 403"'),
      run: async (vault) => {
        const { name } = await deletedPair(vault, { attributes: { enabled: false } });
        bundleIn(await vault.call('POST', `/deletedsecrets/${name}/recover`));
        const path = `/secrets/${name}`;
        await vault.until('the secret is back', async () => (await vault.call('GET', path)).status !== 404);
        assertRefused(await vault.call('GET', path), {
          status: 403,
          code: 'Forbidden',
          inner: 'SecretDisabled',
        });
      },
    },
    {
      name: 'a recover of what isn’t deleted is 404 SecretNotFound',
      source: dataPlane('"404 SecretNotFound"'),
      run: async (vault) => {
        const answer = await vault.call('POST', `/deletedsecrets/${vault.fresh()}/recover`);
        assertRefused(answer, { status: 404, code: 'SecretNotFound' });
      },
    },
    {
      name: 'the client library’s poller looks for the secret, recovers it and looks again',
      source: 'key-vault.md: Wire (E): "The recover poller does GET secret, recover, GET secret"',
      run: async (vault) => {
        const { name } = await deletedPair(vault);
        const { policy, sent } = recorder();
        const client = vault.newClient({ additionalPolicies: [policy] });
        const poller = await client.beginRecoverDeletedSecret(name, { intervalInMs: vault.pollMs });
        assert.equal((await poller.pollUntilDone()).name, name);
        const steps = sent
          .filter(({ authorized }) => authorized)
          .map(({ method, target }) => ({ method, target }));
        const path = (target: string) => target.split('?')[0];
        assert.deepEqual(
          steps.slice(0, 3).map((step) => `${step.method} ${path(step.target)}`),
          [`GET /secrets/${name}/`, `POST /deletedsecrets/${name}/recover`, `GET /secrets/${name}/`],
        );
      },
    },
    {
      name: 'a recovery takes its time: the secret is 404 right after recover 200',
      source: asynchronous,
      needs: 'slowDeletion',
      run: async (vault) => {
        const { name } = await deletedPair(vault);
        bundleIn(await vault.call('POST', `/deletedsecrets/${name}/recover`));
        const path = `/secrets/${name}`;
        assertRefused(await vault.call('GET', path), { status: 404, code: 'SecretNotFound' });
        await vault.until('the secret is back', async () => (await vault.call('GET', path)).status === 200);
      },
    },
    {
      name: 'a set during a recovery is 409 ObjectIsBeingRecovered',
      source: dataPlane('"409 inner codes: …, ObjectIsBeingRecovered"'),
      needs: 'slowDeletion',
      run: async (vault) => {
        const { name } = await deletedPair(vault);
        bundleIn(await vault.call('POST', `/deletedsecrets/${name}/recover`));
        assertRefused(await vault.call('PUT', `/secrets/${name}`, { body: { value: 'three' } }), {
          status: 409,
          code: 'Conflict',
          inner: 'ObjectIsBeingRecovered',
        });
      },
    },
  ],
};
