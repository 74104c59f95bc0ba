import assert from 'node:assert/strict';
import type { Theme } from '../check.ts';
import type { RawAnswer } from '../raw-call.ts';
import { sampleOf } from '../sample.ts';
import { recorder } from '../wire-recorder.ts';
import { assertRefused, listed } from '../wire.ts';

const place = 'key-vault.md: The real SDK: Challenge (E)';
const precedes = 'key-vault.md: Data plane behaviour: "401 precedes even routing errors"';
const missing = {
  status: 401,
  code: 'Unauthorized',
  message: 'AKV10000: Request is missing a Bearer or PoP token.',
};

const challengeForm =
  /^Bearer authorization="https:\/\/login\.[a-z.]+\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", resource="(?<resource>https:\/\/[a-z.]+)"$/;

const byBody = (one: { hasBody: boolean }, other: { hasBody: boolean }): number =>
  Number(one.hasBody) - Number(other.hasBody);

function resourceIn(answer: RawAnswer): string {
  const challenge = String(answer.headers['www-authenticate']);
  assert.match(challenge, challengeForm);
  return challengeForm.exec(challenge)?.groups?.['resource'] ?? '';
}

export const challenge: Theme = {
  name: 'challenge and tokens',
  checks: [
    {
      name: 'a call without a token is 401 with the text that log searches match on',
      source: precedes,
      run: async (vault) => assertRefused(await vault.call('GET', '/secrets', { token: null }), missing),
    },
    {
      name: 'the challenge names authority and resource, separated by comma and space, without a trailing slash',
      source: `${place}: "WWW-Authenticate: Bearer authorization=…"`,
      run: async (vault) => {
        const answer = await vault.call('GET', '/secrets', { token: null });
        assert.equal(answer.status, 401);
        assert.notEqual(resourceIn(answer), '');
      },
    },
    {
      name: 'the vault’s host lies under the host of the resource, as clients verify',
      source: `${place}: "the request host ends with . + the resource host"`,
      run: async (vault) => {
        const { hostname } = new URL(resourceIn(await vault.call('GET', '/secrets', { token: null })));
        const host = new URL(vault.url).hostname;
        assert.ok(host.endsWith(`.${hostname}`), `${host} ends with .${hostname}`);
      },
    },
    {
      name: 'a token’s audience is the resource to the letter',
      source: `${place}: "it becomes the token's aud"`,
      run: async (vault) => {
        const resource = resourceIn(await vault.call('GET', '/secrets', { token: null }));
        const claims = Buffer.from((await vault.token()).split('.')[1] ?? '', 'base64url').toString();
        assert.equal((JSON.parse(claims) as { aud?: string }).aud, resource);
      },
    },
    {
      name: 'without a token a path that doesn’t exist is 401, not 404',
      source: precedes,
      run: async (vault) => assertRefused(await vault.call('GET', '/nowhere', { token: null }), missing),
    },
    {
      name: 'without a token a method that isn’t allowed is 401, not 405',
      source: precedes,
      run: async (vault) =>
        assertRefused(await vault.call('PUT', '/secrets/', { token: null, body: { value: 'x' } }), missing),
    },
    {
      name: 'without a token an invalid name is 401, not 400',
      source: precedes,
      run: async (vault) =>
        assertRefused(await vault.call('GET', '/secrets/under_score', { token: null }), missing),
    },
    {
      name: 'without a token a secret that exists is 401, and its value stays in',
      source: precedes,
      run: async (vault) => {
        const { name, current } = await sampleOf(vault);
        const answer = await vault.call('GET', `/secrets/${name}`, { token: null });
        assertRefused(answer, missing);
        assert.ok(!answer.text.includes(current.value), 'the value is not in the answer');
      },
    },
    {
      name: 'a set without a token sets nothing, though its body came along',
      source: `${place}: "concurrent first PUTs go out with body and without token"`,
      run: async (vault) => {
        const name = vault.fresh();
        const answer = await vault.call('PUT', `/secrets/${name}`, { token: null, body: { value: 'x' } });
        assertRefused(answer, missing);
        assert.deepEqual(await listed(vault, `/secrets/${name}/versions`), []);
      },
    },
    {
      name: 'another scheme than Bearer counts as no token',
      source: precedes,
      run: async (vault) => {
        const headers = { Authorization: 'Basic Y29uZm9ybWFuY2U6eA==' };
        assertRefused(await vault.call('GET', '/secrets', { token: null, headers }), missing);
      },
    },
    {
      name: 'a token whose signature doesn’t fit is 401 with a challenge',
      source: 'key-vault.md: Managed identity (E): "a new signing key gets 401 from running clients"',
      run: async (vault) => {
        const [head, claims, signature = ''] = (await vault.token()).split('.');
        const forged = 'A'.repeat(signature.length);
        const answer = await vault.call('GET', '/secrets', { token: `${head}.${claims}.${forged}` });
        assertRefused(answer, { status: 401, code: 'Unauthorized' });
        assert.notEqual(resourceIn(answer), '');
      },
    },
    {
      name: 'a token that is no JWT is 401 with a challenge',
      source: 'key-vault.md: Managed identity (E): "a new signing key gets 401 from running clients"',
      run: async (vault) => {
        const answer = await vault.call('GET', '/secrets', { token: 'conformance' });
        assertRefused(answer, { status: 401, code: 'Unauthorized' });
        assert.notEqual(resourceIn(answer), '');
      },
    },
    {
      name: 'a new client asks without token and body first, and then succeeds with both',
      source: `${place}: "The first request goes out without a token and with an empty body"`,
      run: async (vault) => {
        const { policy, sent } = recorder();
        const client = vault.newClient({ additionalPolicies: [policy] });
        await client.setSecret(vault.fresh(), 'x');
        assert.deepEqual(
          sent.map(({ method, authorized, hasBody, status }) => ({ method, authorized, hasBody, status })),
          [
            { method: 'PUT', authorized: false, hasBody: false, status: 401 },
            { method: 'PUT', authorized: true, hasBody: true, status: 200 },
          ],
        );
      },
    },
    {
      name: 'a client is challenged once, not with every call',
      source: `${place}: "each new one pays an unauthenticated first request"`,
      run: async (vault) => {
        const { name, older, current } = await sampleOf(vault);
        const { policy, sent } = recorder();
        const client = vault.newClient({ additionalPolicies: [policy] });
        await client.getSecret(name);
        await client.getSecret(name, { version: older.version });
        await client.getSecret(name, { version: current.version });
        assert.deepEqual(
          sent.map(({ status }) => status),
          [401, 200, 200, 200],
        );
      },
    },
    {
      name: 'sets that a new client sends at once are all challenged, those with a body too',
      source: `${place}: "concurrent first PUTs go out with body and without token"`,
      run: async (vault) => {
        const { policy, sent } = recorder();
        const client = vault.newClient({ additionalPolicies: [policy] });
        // Not all of them need succeed: the library may lose the body of the one that it sent first.
        await Promise.allSettled(Array.from({ length: 5 }, () => client.setSecret(vault.fresh(), 'x')));
        const first = sent.filter(({ authorized }) => !authorized);
        assert.deepEqual(
          first.map(({ hasBody, status }) => ({ hasBody, status })).toSorted(byBody),
          [false, true, true, true, true].map((hasBody) => ({ hasBody, status: 401 })),
        );
      },
    },
    {
      name: 'sets at once succeed when the client has been challenged before',
      source: `${place}: "each new one pays an unauthenticated first request"`,
      run: async (vault) => {
        const { name } = await sampleOf(vault);
        const { policy, sent } = recorder();
        const client = vault.newClient({ additionalPolicies: [policy] });
        await client.getSecret(name);
        const names = Array.from({ length: 5 }, () => vault.fresh());
        const sets = await Promise.all(names.map((each) => client.setSecret(each, `of ${each}`)));
        assert.deepEqual(
          sets.map(({ value }) => value),
          names.map((each) => `of ${each}`),
        );
        assert.equal(sent.filter(({ authorized }) => !authorized).length, 1);
      },
    },
  ],
};
