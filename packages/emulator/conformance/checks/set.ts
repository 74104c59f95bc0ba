import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import { assertRefused, get, set, versionOf } from '../wire.ts';

const clockSkewSeconds = 15 * 60;

export const setting: Theme = {
  name: 'set',
  checks: [
    {
      name: 'a set answers with the value and an id of vault, name and 32 hexadecimal digits',
      source: dataPlane('"base ids" (R); id as in every recorded answer'),
      run: async (vault) => {
        const name = vault.fresh();
        const answer = await set(vault, name, { value: 'one' });
        assert.equal(answer.value, 'one');
        assert.equal(answer.id, `${vault.url}/secrets/${name}/${versionOf(answer)}`);
        assert.match(versionOf(answer), /^[0-9a-f]{32}$/);
      },
    },
    {
      name: 'a new version is enabled, created and updated at one instant, in whole seconds of now',
      source: 'P: SecretAttributes; R: recorded sets',
      run: async (vault) => {
        const { attributes } = await set(vault, vault.fresh(), { value: 'one' });
        assert.equal(attributes.enabled, true);
        assert.ok(Number.isInteger(attributes.created), `created ${attributes.created} is a whole number`);
        assert.equal(attributes.updated, attributes.created);
        const apart = Math.abs(attributes.created - Date.now() / 1000);
        assert.ok(apart < clockSkewSeconds, `created is ${Math.round(apart)} s from now`);
      },
    },
    {
      name: 'recoverableDays is 7 to 90',
      source: dataPlane('"recoverableDays 7–90"'),
      run: async (vault) => {
        const { recoverableDays } = (await set(vault, vault.fresh(), { value: 'one' })).attributes;
        assert.ok(Number.isInteger(recoverableDays), `${recoverableDays} is a whole number`);
        assert.ok(recoverableDays >= 7 && recoverableDays <= 90, `${recoverableDays} is within 7 to 90`);
      },
    },
    {
      name: 'the recovery level is Recoverable at 90 days and CustomizedRecoverable below',
      source: dataPlane('"recoveryLevel Recoverable+Purgeable at 90, CustomizedRecoverable+Purgeable below"'),
      run: async (vault) => {
        const { attributes } = await set(vault, vault.fresh(), { value: 'one' });
        const expected = attributes.recoverableDays === 90 ? 'Recoverable' : 'CustomizedRecoverable';
        assert.equal(attributes.recoveryLevel.split('+')[0], expected);
      },
    },
    {
      name: 'a plain secret has neither previousVersion nor managed',
      source: dataPlane('"Plain secrets never have previousVersion or managed"'),
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'one' });
        for (const answer of [await set(vault, name, { value: 'two' }), await get(vault, name)])
          assert.deepEqual(
            Object.keys(answer).filter((key) => /^(previousVersion|managed)$/.test(key)),
            [],
          );
      },
    },
    {
      name: 'every set makes a version of its own, even with the same value',
      source: dataPlane('"There is no compare-and-set on secrets"'),
      run: async (vault) => {
        const name = vault.fresh();
        const first = await set(vault, name, { value: 'same' });
        const second = await set(vault, name, { value: 'same' });
        assert.notEqual(versionOf(first), versionOf(second));
      },
    },
    {
      name: 'If-Match is not heeded: a set always wins',
      source: dataPlane('"There is no compare-and-set on secrets"'),
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'one' });
        for (const headers of [{ 'If-Match': '"nothing"' }, { 'If-None-Match': '*' }])
          assert.equal(
            (await vault.call('PUT', `/secrets/${name}`, { body: { value: 'two' }, headers })).status,
            200,
          );
        assert.equal((await get(vault, name)).value, 'two');
      },
    },
    {
      name: 'an empty value is a value',
      source: 'R: keyvault-secrets recordings, "can set a secret with empty value"',
      run: async (vault) => {
        const name = vault.fresh();
        assert.equal((await set(vault, name, { value: '' })).value, '');
        assert.equal((await get(vault, name)).value, '');
      },
    },
    {
      name: 'what was not set is not in the answer',
      source: 'R: recorded sets without tags, content type and times',
      run: async (vault) => {
        const answer = await set(vault, vault.fresh(), { value: 'one' });
        assert.deepEqual(Object.keys(answer).toSorted(), ['attributes', 'id', 'value']);
        assert.deepEqual(Object.keys(answer.attributes).toSorted(), [
          'created',
          'enabled',
          'recoverableDays',
          'recoveryLevel',
          'updated',
        ]);
      },
    },
    {
      name: 'a set of a disabled version succeeds and shows the value this once',
      source: 'R: keyvault-secrets recordings, "can update a disabled secret"',
      run: async (vault) => {
        const body = { value: 'one', attributes: { enabled: false } };
        const answer = await set(vault, vault.fresh(), body);
        assert.equal(answer.attributes.enabled, false);
        assert.equal(answer.value, 'one');
      },
    },
    {
      name: 'a set without a value is 400 BadParameter and makes no version',
      source: 'P: SecretSetParameters requires value',
      run: async (vault) => {
        const name = vault.fresh();
        const answer = await vault.call('PUT', `/secrets/${name}`, { body: { tags: { a: 'b' } } });
        assertRefused(answer, { status: 400, code: 'BadParameter' });
        assertRefused(await vault.call('GET', `/secrets/${name}`), { status: 404, code: 'SecretNotFound' });
      },
    },
  ],
};
