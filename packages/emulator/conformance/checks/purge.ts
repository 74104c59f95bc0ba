import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import type { Subject } from '../subject.ts';
import { assertRefused, deleted, listed, set, versionOf } from '../wire.ts';

const wire = 'key-vault.md: Wire (E): "DELETE /deletedsecrets/n answers 204"';
const notFound = { status: 404, code: 'SecretNotFound' };

async function deletedSecret(vault: Subject): Promise<string> {
  const name = vault.fresh();
  await set(vault, name, { value: 'x' });
  await deleted(vault, name);
  return name;
}

async function purged(vault: Subject): Promise<string> {
  const name = await deletedSecret(vault);
  await vault.client.purgeDeletedSecret(name);
  const path = `/deletedsecrets/${name}`;
  await vault.until('the purge is through', async () => (await vault.call('GET', path)).status === 404);
  return name;
}

export const purging: Theme = {
  name: 'purge',
  checks: [
    {
      name: 'a purge answers 204 with nothing in it',
      source: wire,
      needs: 'purge',
      run: async (vault) => {
        const answer = await vault.call('DELETE', `/deletedsecrets/${await deletedSecret(vault)}`);
        assert.deepEqual([answer.status, answer.text], [204, '']);
      },
    },
    {
      name: 'a purged secret is gone from the deleted ones',
      source: dataPlane('"Soft delete and recover are asynchronous"; P: PurgeDeletedSecret'),
      needs: 'purge',
      run: async (vault) => {
        const name = await purged(vault);
        const recoveryId = `${vault.url}/deletedsecrets/${name}`;
        const entries = await listed(vault, '/deletedsecrets');
        assert.ok(!entries.some((entry) => entry.recoveryId === recoveryId), `${name} is not listed`);
        assertRefused(await vault.call('GET', `/deletedsecrets/${name}`), notFound);
      },
    },
    {
      name: 'a purged secret can’t be recovered',
      source: 'P: PurgeDeletedSecret',
      needs: 'purge',
      run: async (vault) => {
        const name = await purged(vault);
        assertRefused(await vault.call('POST', `/deletedsecrets/${name}/recover`), notFound);
      },
    },
    {
      name: 'the name of a purged secret is free, and starts from nothing',
      source: dataPlane('"409 inner codes: ObjectIsDeletedButRecoverable, …"; P: PurgeDeletedSecret'),
      needs: 'purge',
      run: async (vault) => {
        const name = await purged(vault);
        const put = () => vault.call('PUT', `/secrets/${name}`, { body: { value: 'y' } });
        let answer = await put();
        await vault.until('the name is free', async () => {
          if (answer.status === 409) answer = await put();
          return answer.status !== 409;
        });
        assert.equal(answer.status, 200);
        const versions = (await listed(vault, `/secrets/${name}/versions`)).map(versionOf);
        assert.deepEqual(versions, [versionOf(answer.body as { id: string })]);
      },
    },
    {
      name: 'a purge of a secret that isn’t deleted is 404 and leaves it alone',
      source: dataPlane('"404 SecretNotFound"'),
      needs: 'purge',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        assertRefused(await vault.call('DELETE', `/deletedsecrets/${name}`), notFound);
        assert.equal((await vault.call('GET', `/secrets/${name}`)).status, 200);
      },
    },
  ],
};
