import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import type { RawAnswer } from '../raw-call.ts';
import { sampleOf } from '../sample.ts';
import type { Subject } from '../subject.ts';
import { assertRefused, bundleIn, deleted, get, listed, set, versionOf } from '../wire.ts';

const wire = 'key-vault.md: Wire (E): "POST /secrets/n/backup, /secrets/restore"';
const onto = dataPlane('"Restore onto an existing name: 409"');

function blobIn(answer: RawAnswer): string {
  assert.equal(answer.status, 200, `expected 200, got ${answer.status}`);
  const { value } = (answer.body ?? {}) as { value?: unknown };
  assert.equal(typeof value, 'string', 'the answer has a blob');
  return String(value);
}

const backUp = async (vault: Subject, name: string): Promise<string> =>
  blobIn(await vault.call('POST', `/secrets/${name}/backup`));

/** A secret with two versions that was backed up and is no longer there. */
async function purgedWithBackup(vault: Subject) {
  const name = vault.fresh();
  const older = await set(vault, name, { value: 'one', attributes: { exp: 1_900_000_000 } });
  const current = await set(vault, name, { value: 'two', contentType: 'a', tags: { t: '1' } });
  const blob = await backUp(vault, name);
  await deleted(vault, name);
  await vault.client.purgeDeletedSecret(name);
  return { name, older, current, blob };
}

/** Restores, and waits for a purge of the same name to get through. */
async function restored(vault: Subject, blob: string): Promise<RawAnswer> {
  const restore = () => vault.call('POST', '/secrets/restore', { body: { value: blob } });
  let answer = await restore();
  await vault.until('the name is free', async () => {
    if (answer.status === 409) answer = await restore();
    return answer.status !== 409;
  });
  return answer;
}

export const backups: Theme = {
  name: 'backup and restore',
  checks: [
    {
      name: 'a backup is a blob in base64url and nothing else',
      source: `${wire}; R: "can backup a secret"`,
      run: async (vault) => {
        const { name } = await sampleOf(vault);
        const answer = await vault.call('POST', `/secrets/${name}/backup`);
        assert.match(blobIn(answer), /^[A-Za-z0-9_-]{16,}={0,2}$/);
        assert.deepEqual(Object.keys(answer.body as object), ['value']);
      },
    },
    {
      name: 'a backup doesn’t show the value',
      source: 'R: "can backup a secret": the blob is encrypted',
      run: async (vault) => {
        const { name, current, older } = await sampleOf(vault);
        const blob = await backUp(vault, name);
        const decoded = Buffer.from(blob, 'base64url').toString('latin1');
        for (const { value } of [current, older])
          assert.ok(!blob.includes(value) && !decoded.includes(value), 'the value is not in the blob');
      },
    },
    {
      name: 'a backup leaves the secret as it was',
      source: wire,
      run: async (vault) => {
        const sample = await sampleOf(vault);
        const before = await get(vault, sample.name);
        await backUp(vault, sample.name);
        assert.deepEqual(await get(vault, sample.name), before);
      },
    },
    {
      name: 'a backup of a secret that doesn’t exist is 404 SecretNotFound',
      source: dataPlane('"404 SecretNotFound"'),
      run: async (vault) =>
        assertRefused(await vault.call('POST', `/secrets/${vault.fresh()}/backup`), {
          status: 404,
          code: 'SecretNotFound',
        }),
    },
    {
      name: 'a restore onto an existing name is 409 and changes nothing',
      source: onto,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'one' });
        const blob = await backUp(vault, name);
        await set(vault, name, { value: 'two' });
        const answer = await vault.call('POST', '/secrets/restore', { body: { value: blob } });
        assertRefused(answer, { status: 409, code: 'Conflict' });
        assert.equal((await get(vault, name)).value, 'two');
      },
    },
    {
      name: 'a restore onto the name of a deleted secret is 409',
      source: onto,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'one' });
        const blob = await backUp(vault, name);
        await deleted(vault, name);
        const answer = await vault.call('POST', '/secrets/restore', { body: { value: blob } });
        assertRefused(answer, { status: 409, code: 'Conflict' });
      },
    },
    {
      name: 'a restore of what is no backup is 400 Malformed backup blob',
      source: dataPlane('"Malformed blob: 400 code Malformed backup blob"'),
      run: async (vault) => {
        const body = { value: Buffer.alloc(4_096).toString('base64url') };
        assertRefused(await vault.call('POST', '/secrets/restore', { body }), {
          status: 400,
          code: 'Malformed backup blob',
          message: 'Backup blob contains invalid or corrupt version.',
        });
      },
    },
    {
      name: 'a restore brings every version back, with its id, value, tags and times',
      source: `${wire}; R: "can restore a secret"`,
      needs: 'purge',
      run: async (vault) => {
        const { name, older, current, blob } = await purgedWithBackup(vault);
        bundleIn(await restored(vault, blob));
        const versions = (await listed(vault, `/secrets/${name}/versions`)).map(versionOf);
        assert.deepEqual(versions, [older, current].map(versionOf).toSorted());
        const back = await get(vault, name);
        assert.deepEqual(
          [back.id, back.value, back.contentType, back.tags],
          [current.id, 'two', 'a', { t: '1' }],
        );
        const { value, attributes } = await get(vault, name, versionOf(older));
        assert.deepEqual([value, attributes.exp], ['one', 1_900_000_000]);
      },
    },
    {
      name: 'the answer to a restore describes the current version, without the value',
      source: 'R: "can restore a secret"; P: RestoreSecret',
      needs: 'purge',
      run: async (vault) => {
        const { current, blob } = await purgedWithBackup(vault);
        const answer = bundleIn(await restored(vault, blob));
        assert.equal(answer.id, current.id);
        assert.equal(answer.value, undefined);
      },
    },
    {
      name: 'the client library takes a backup and restores it',
      source: wire,
      needs: 'purge',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'one' });
        const blob = await vault.client.backupSecret(name);
        assert.ok(blob instanceof Uint8Array && blob.length > 0, 'the backup has bytes');
        await deleted(vault, name);
        await vault.client.purgeDeletedSecret(name);
        await vault.until('the restore is accepted', () =>
          vault.client.restoreSecretBackup(blob).then(
            () => true,
            (error: { statusCode?: number }) => {
              if (error.statusCode === 409) return false;
              throw error;
            },
          ),
        );
        assert.equal((await vault.client.getSecret(name)).value, 'one');
      },
    },
  ],
};
