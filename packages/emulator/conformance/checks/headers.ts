import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { dataPlane, type Check, type Theme } from '../check.ts';
import { sampleOf } from '../sample.ts';
import type { Subject } from '../subject.ts';

const source = dataPlane('"Headers: Cache-Control no-cache, …"');

/** An answer of each kind: a value, a refusal, a challenge. */
async function headersOfAll(vault: Subject): Promise<IncomingHttpHeaders[]> {
  const { name } = await sampleOf(vault);
  const answers = [
    await vault.call('GET', `/secrets/${name}`),
    await vault.call('GET', `/secrets/${vault.fresh()}`),
    await vault.call('GET', `/secrets/${name}`, { token: null }),
  ];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 404, 401],
  );
  return answers.map(({ headers }) => headers);
}

const everywhere = (what: string, expected: Readonly<Record<string, string | RegExp>>): Check => ({
  name: `values, refusals and challenges ${what}`,
  source,
  run: async (vault) => {
    for (const headers of await headersOfAll(vault))
      for (const [name, value] of Object.entries(expected))
        if (typeof value === 'string') assert.equal(headers[name], value, name);
        else assert.match(String(headers[name]), value, name);
  },
});

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const headers: Theme = {
  name: 'headers',
  checks: [
    everywhere('must not be cached', { 'cache-control': 'no-cache', pragma: 'no-cache', expires: '-1' }),
    everywhere('must not be guessed at', { 'x-content-type-options': 'nosniff' }),
    everywhere('demand https from now on', {
      'strict-transport-security': /^max-age=31536000; ?includeSubDomains$/,
    }),
    everywhere('tell region and version of the service', {
      'x-ms-keyvault-region': /^[a-z0-9]+$/,
      'x-ms-keyvault-service-version': /^\d+(\.\d+){3}$/,
    }),
    everywhere('have a request id', { 'x-ms-request-id': uuid }),
    {
      name: 'no two answers have the same request id',
      source,
      run: async (vault) => {
        const ids = (await headersOfAll(vault)).map((each) => each['x-ms-request-id']);
        assert.equal(new Set(ids).size, 3, ids.join(', '));
      },
    },
    {
      name: 'the client’s own request id comes back',
      source: dataPlane('"x-ms-client-request-id (echo)"'),
      run: async (vault) => {
        const id = '5c0ffee0-0000-4000-8000-000000000001';
        const { name } = await sampleOf(vault);
        for (const token of [undefined, null]) {
          const answer = await vault.call('GET', `/secrets/${name}`, {
            headers: { 'x-ms-client-request-id': id },
            ...(token === null ? { token } : {}),
          });
          assert.equal(answer.headers['x-ms-client-request-id'], id);
        }
      },
    },
    {
      name: 'a secret is JSON in UTF-8',
      source: 'R: recorded answers',
      run: async (vault) => {
        const { name } = await sampleOf(vault);
        const { status, headers: found } = await vault.call('GET', `/secrets/${name}`);
        assert.deepEqual([status, found['content-type']], [200, 'application/json; charset=utf-8']);
      },
    },
  ],
};
