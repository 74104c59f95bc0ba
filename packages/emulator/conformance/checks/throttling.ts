import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import type { RawAnswer } from '../raw-call.ts';
import type { Subject } from '../subject.ts';
import { recorder } from '../wire-recorder.ts';
import { assertRefused, assertRejected } from '../wire.ts';

const limits = dataPlane('"300 CREATE secret and 4,000 other transactions per 10 s per vault" (D)');
const text = dataPlane('"429 Throttled Request was not processed because …"');
const throttled = {
  status: 429,
  code: 'Throttled',
  message:
    'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
};

/** Sends until one is throttled: how many got through before it, and its answer. */
async function exhaust(
  send: () => Promise<RawAnswer>,
  { limit, together }: { readonly limit: number; readonly together: number },
): Promise<{ readonly accepted: number; readonly refusal: RawAnswer }> {
  let accepted = 0;
  // Twice the limit gets through at most: all of one period at its end, all of the next one at its start.
  while (accepted <= 2 * limit) {
    const answers = await Promise.all(Array.from({ length: together }, send));
    accepted += answers.filter(({ status }) => status !== 429).length;
    const refusal = answers.find(({ status }) => status === 429);
    if (refusal !== undefined) return { accepted, refusal };
  }
  return assert.fail(`${accepted} calls got through, and none was throttled`);
}

const creates = (vault: Subject, name: string) =>
  exhaust(() => vault.call('PUT', `/secrets/${name}`, { body: { value: 'x' } }), {
    limit: 300,
    together: 10,
  });

export const throttling: Theme = {
  name: 'throttling',
  checks: [
    {
      name: 'after 300 creates within 10 s comes 429 Throttled, in the service’s words',
      source: `${limits}; ${text}`,
      needs: 'throttling',
      run: async (vault) => {
        const { accepted, refusal } = await creates(vault, vault.fresh());
        assert.ok(accepted >= 300, `${accepted} creates got through`);
        assertRefused(refusal, throttled);
      },
    },
    {
      name: 'while creates are throttled, other calls get through',
      source: limits,
      needs: 'throttling',
      run: async (vault) => {
        const name = vault.fresh();
        await creates(vault, name);
        assert.equal((await vault.call('GET', '/secrets')).status, 200);
        assertRefused(await vault.call('PUT', `/secrets/${name}`, { body: { value: 'x' } }), throttled);
      },
    },
    {
      name: 'a throttled set has set nothing',
      source: text,
      needs: 'throttling',
      run: async (vault) => {
        await creates(vault, vault.fresh());
        const name = vault.fresh();
        assertRefused(await vault.call('PUT', `/secrets/${name}`, { body: { value: 'x' } }), throttled);
        assertRefused(await vault.call('GET', `/secrets/${name}`), { status: 404, code: 'SecretNotFound' });
      },
    },
    {
      name: 'the client library gives a throttled call up at once, as no Retry-After comes with it',
      source: 'key-vault.md: Retries (E): "429 without Retry-After is not retried"',
      needs: 'throttling',
      run: async (vault) => {
        const { refusal } = await creates(vault, vault.fresh());
        assert.equal(refusal.headers['retry-after'], undefined);
        const { policy, sent } = recorder();
        const client = vault.newClient({ additionalPolicies: [policy] });
        await assertRejected(client.setSecret(vault.fresh(), 'x'), { status: 429, code: 'Throttled' });
        assert.deepEqual(
          sent.map(({ status }) => status),
          [401, 429],
        );
      },
    },
    {
      name: 'one vault’s creates are not counted against another’s',
      source: dataPlane('"per vault per region" (D)'),
      needs: 'throttling',
      run: async (vault) => {
        await creates(vault, vault.fresh());
        const url = vault.url.replace('//conformance.', '//neighbour.');
        const path = `${url}/secrets/${vault.fresh()}?api-version=7.6`;
        assert.equal((await vault.call('PUT', path, { body: { value: 'x' } })).status, 200);
      },
    },
    {
      name: 'after 4,000 other calls within 10 s comes 429 Throttled',
      source: limits,
      needs: 'throttling',
      run: async (vault) => {
        const url = vault.url.replace('//conformance.', '//neighbour.');
        const read = () => vault.call('GET', `${url}/secrets?maxresults=1&api-version=7.6`);
        const { accepted, refusal } = await exhaust(read, { limit: 4_000, together: 32 });
        assert.ok(accepted >= 4_000, `${accepted} calls got through`);
        assertRefused(refusal, throttled);
        // The two limits are counted apart.
        const path = `${url}/secrets/${vault.fresh()}?api-version=7.6`;
        assert.equal((await vault.call('PUT', path, { body: { value: 'x' } })).status, 200);
      },
    },
  ],
};
