import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import type { RawAnswer } from '../raw-call.ts';
import { assertRefused, assertRejected, set } from '../wire.ts';

const form = dataPlane('"Error body: {error:{code,message,innererror:{code}}}"');

const keysOf = (value: unknown): string[] => Object.keys(value ?? {}).toSorted();
const errorIn = (answer: RawAnswer) =>
  (answer.body as { error?: { innererror?: object } } | undefined)?.error;

export const errors: Theme = {
  name: 'error bodies and routing',
  checks: [
    {
      name: 'an error is an object with code and message, and nothing beside it',
      source: form,
      run: async (vault) => {
        const answer = await vault.call('GET', `/secrets/${vault.fresh()}`);
        assert.equal(answer.status, 404);
        assert.deepEqual(keysOf(answer.body), ['error']);
        assert.deepEqual(
          keysOf(errorIn(answer)).filter((key) => key !== 'innererror'),
          ['code', 'message'],
        );
      },
    },
    {
      name: 'a finer reason is in innererror.code, spelt so',
      source: form,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x', attributes: { enabled: false } });
        const answer = await vault.call('GET', `/secrets/${name}`);
        assert.equal(answer.status, 403);
        assert.deepEqual(keysOf(errorIn(answer)), ['code', 'innererror', 'message']);
        assert.deepEqual(keysOf(errorIn(answer)?.innererror), ['code']);
      },
    },
    {
      name: 'the body of a 401 has the same form',
      source: dataPlane('"401 precedes even routing errors: {error:{code,message}}"'),
      run: async (vault) => {
        const answer = await vault.call('GET', '/secrets', { token: null });
        assert.equal(answer.status, 401);
        assert.deepEqual(keysOf(answer.body), ['error']);
        assert.deepEqual(keysOf(errorIn(answer)), ['code', 'message']);
      },
    },
    {
      name: 'an error is JSON in UTF-8',
      source: 'R: recorded errors',
      run: async (vault) => {
        const { status, headers } = await vault.call('GET', `/secrets/${vault.fresh()}`);
        assert.deepEqual([status, headers['content-type']], [404, 'application/json; charset=utf-8']);
      },
    },
    {
      name: 'a set without a name is 405 MethodNotAllowed',
      source: dataPlane('"PUT /secrets/ 405 MethodNotAllowed"'),
      run: async (vault) =>
        assertRefused(await vault.call('PUT', '/secrets/', { body: { value: 'x' } }), {
          status: 405,
          code: 'MethodNotAllowed',
        }),
    },
    {
      name: 'the client library turns a refusal into an error with status and code',
      source: 'key-vault.md: SDK bugs (E); "404 SecretNotFound"',
      run: async (vault) => {
        await assertRejected(vault.client.getSecret(vault.fresh()), { status: 404, code: 'SecretNotFound' });
      },
    },
  ],
};
