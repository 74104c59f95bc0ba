import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import { assertRefused, assertRejected, bundleIn, deleted, listed, set, versionOf } from '../wire.ts';

const soft = dataPlane('"Soft delete and recover are asynchronous"');
const conflicts = dataPlane('"409 inner codes: ObjectIsDeletedButRecoverable, ObjectIsBeingDeleted, …"');
const notFound = { status: 404, code: 'SecretNotFound' };
const secondsPerDay = 86_400;

export const softDelete: Theme = {
  name: 'soft delete',
  checks: [
    {
      name: 'the answer to a delete says when and how it can be recovered, without the value',
      source: dataPlane('"The delete answer has no value"'),
      run: async (vault) => {
        const name = vault.fresh();
        const before = await set(vault, name, { value: 'gone-for-now', tags: { a: 'b' } });
        const answer = await vault.call('DELETE', `/secrets/${name}`);
        const { recoveryId, deletedDate = 0, scheduledPurgeDate = 0, id, tags } = bundleIn(answer);
        assert.equal(recoveryId, `${vault.url}/deletedsecrets/${name}`);
        assert.ok(deletedDate >= before.attributes.created, 'deletedDate is not before the set');
        assert.ok(scheduledPurgeDate > deletedDate, 'the purge is scheduled for later');
        assert.deepEqual([id, tags], [before.id, { a: 'b' }]);
        assert.ok(!answer.text.includes('gone-for-now'), 'the value is not in the answer');
      },
    },
    {
      name: 'the purge is scheduled for recoverableDays after the deletion',
      source: dataPlane('"recoverableDays 7–90"; R: recorded deletes'),
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        const answer = bundleIn(await vault.call('DELETE', `/secrets/${name}`));
        assert.equal(
          (answer.scheduledPurgeDate ?? 0) - (answer.deletedDate ?? 0),
          answer.attributes.recoverableDays * secondsPerDay,
        );
      },
    },
    {
      name: 'a deleted secret is 404, and so is each of its versions',
      source: soft,
      run: async (vault) => {
        const name = vault.fresh();
        const older = versionOf(await set(vault, name, { value: 'one' }));
        await set(vault, name, { value: 'two' });
        await deleted(vault, name);
        assertRefused(await vault.call('GET', `/secrets/${name}`), notFound);
        assertRefused(await vault.call('GET', `/secrets/${name}/${older}`), notFound);
      },
    },
    {
      name: 'a deleted secret is described among the deleted ones, without the value',
      source: soft,
      run: async (vault) => {
        const name = vault.fresh();
        const before = await set(vault, name, { value: 'hidden-now', contentType: 'a' });
        await deleted(vault, name);
        const answer = await vault.call('GET', `/deletedsecrets/${name}`);
        const { id, contentType, attributes, recoveryId } = bundleIn(answer);
        assert.deepEqual(
          { id, contentType, attributes, recoveryId },
          {
            id: before.id,
            contentType: 'a',
            attributes: before.attributes,
            recoveryId: `${vault.url}/deletedsecrets/${name}`,
          },
        );
        assert.ok(!answer.text.includes('hidden-now'), 'the value is not in the answer');
      },
    },
    {
      name: 'the list of deleted secrets has its base id and the way back',
      source: dataPlane('"Lists: … base ids"; P: DeletedSecretItem'),
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        await deleted(vault, name);
        const recoveryId = `${vault.url}/deletedsecrets/${name}`;
        const entries = await listed(vault, '/deletedsecrets');
        const found = entries.filter((entry) => entry.recoveryId === recoveryId);
        assert.deepEqual(
          found.map(({ id }) => id),
          [`${vault.url}/secrets/${name}`],
        );
        assert.ok(!('value' in (found[0] ?? {})), 'the entry has no value');
      },
    },
    {
      name: 'a deleted secret is not in the list of secrets',
      source: soft,
      run: async (vault) => {
        const [gone, stays] = [vault.fresh(), vault.fresh()];
        for (const name of [gone, stays]) await set(vault, name, { value: 'x' });
        await deleted(vault, gone);
        const names = (await listed(vault, '/secrets')).map(({ id }) => id.split('/')[4]);
        assert.deepEqual([names.includes(gone), names.includes(stays)], [false, true]);
      },
    },
    {
      name: 'a set under the name of a deleted secret is 409 ObjectIsDeletedButRecoverable',
      source: conflicts,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        await deleted(vault, name);
        assertRefused(await vault.call('PUT', `/secrets/${name}`, { body: { value: 'y' } }), {
          status: 409,
          code: 'Conflict',
          inner: 'ObjectIsDeletedButRecoverable',
        });
      },
    },
    {
      name: 'the client library reports it as Conflict with the inner code in the details',
      source: 'key-vault.md: SDK bugs (E): "e.code is only Conflict or Forbidden"',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        await deleted(vault, name);
        await assertRejected(vault.client.setSecret(name, 'y'), {
          status: 409,
          code: 'Conflict',
          inner: 'ObjectIsDeletedButRecoverable',
        });
      },
    },
    {
      name: 'a delete of a secret that doesn’t exist is 404 SecretNotFound',
      source: dataPlane('"404 SecretNotFound"'),
      run: async (vault) => assertRefused(await vault.call('DELETE', `/secrets/${vault.fresh()}`), notFound),
    },
    {
      name: 'a secret that was never deleted is 404 among the deleted ones, in the service’s words',
      source: `${dataPlane('"404 SecretNotFound"')}; text R`,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        assertRefused(await vault.call('GET', `/deletedsecrets/${name}`), {
          ...notFound,
          message: `Deleted Secret not found: ${name}`,
        });
      },
    },
    {
      name: 'a deletion takes its time: 404 among the deleted ones right after DELETE 200',
      source: dataPlane('"GET deletedsecrets is 404 for seconds after DELETE 200"'),
      needs: 'slowDeletion',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        bundleIn(await vault.call('DELETE', `/secrets/${name}`));
        assertRefused(await vault.call('GET', `/deletedsecrets/${name}`), notFound);
        assertRefused(await vault.call('GET', `/secrets/${name}`), notFound);
        const path = `/deletedsecrets/${name}`;
        await vault.until(
          'the deletion is through',
          async () => (await vault.call('GET', path)).status === 200,
        );
      },
    },
    {
      name: 'a set during a deletion is 409 ObjectIsBeingDeleted',
      source: conflicts,
      needs: 'slowDeletion',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        bundleIn(await vault.call('DELETE', `/secrets/${name}`));
        assertRefused(await vault.call('PUT', `/secrets/${name}`, { body: { value: 'y' } }), {
          status: 409,
          code: 'Conflict',
          inner: 'ObjectIsBeingDeleted',
        });
      },
    },
    {
      name: 'the client library’s poller waits until a deletion is through',
      source: soft,
      needs: 'slowDeletion',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        const poller = await vault.client.beginDeleteSecret(name, { intervalInMs: vault.pollMs });
        assert.equal(poller.isDone(), false);
        await poller.pollUntilDone();
        bundleIn(await vault.call('GET', `/deletedsecrets/${name}`));
      },
    },
    {
      name: 'a vault that keeps deleted secrets for 7 days says CustomizedRecoverable+Purgeable',
      source: dataPlane('"recoveryLevel … CustomizedRecoverable+Purgeable below"'),
      needs: 'shortRetention',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        const answer = bundleIn(await vault.call('DELETE', `/secrets/${name}`));
        const { recoverableDays, recoveryLevel } = answer.attributes;
        assert.deepEqual([recoverableDays, recoveryLevel], [7, 'CustomizedRecoverable+Purgeable']);
        assert.equal((answer.scheduledPurgeDate ?? 0) - (answer.deletedDate ?? 0), 7 * secondsPerDay);
      },
    },
  ],
};
