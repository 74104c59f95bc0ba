import assert from 'node:assert/strict';
import { dataPlane, type Check, type Theme } from '../check.ts';
import type { Method } from '../raw-call.ts';
import { assertRefused, get, listed, set, versionOf } from '../wire.ts';

const value = dataPlane('"value 25,600 characters (400 BadParameter/SecretTooLarge: …)"');
const names = dataPlane('"name ^[0-9a-zA-Z-]{1,127}$, case-insensitive"');

const badName = (what: string, inPath: string): Check => ({
  name: `a name with ${what} is 400 BadParameter and is named`,
  source: dataPlane('"The request URI contains an invalid name: X"'),
  run: async (vault) => {
    const answer = await vault.call('PUT', `/secrets/${inPath}`, { body: { value: 'x' } });
    assertRefused(answer, {
      status: 400,
      code: 'BadParameter',
      message: `The request URI contains an invalid name: ${decodeURIComponent(inPath)}`,
    });
  },
});

export const limits: Theme = {
  name: 'limits and names',
  checks: [
    {
      name: 'a value of 25,600 characters fits',
      source: value,
      run: async (vault) => {
        const name = vault.fresh();
        const longest = 'conformance-'.repeat(2_134).slice(0, 25_600);
        await set(vault, name, { value: longest });
        assert.ok((await get(vault, name)).value === longest, 'the value comes back whole');
      },
    },
    {
      name: 'a value of 25,601 characters is 400 BadParameter with SecretTooLarge inside',
      source: value,
      run: async (vault) => {
        const body = { value: 'x'.repeat(25_601) };
        assertRefused(await vault.call('PUT', `/secrets/${vault.fresh()}`, { body }), {
          status: 400,
          code: 'BadParameter',
          inner: 'SecretTooLarge',
          message: 'Secret is beyond the maximum permitted length of 25600 characters.',
        });
      },
    },
    {
      name: 'a refused value leaves the current version as it was',
      source: value,
      run: async (vault) => {
        const name = vault.fresh();
        const before = versionOf(await set(vault, name, { value: 'one' }));
        await vault.call('PUT', `/secrets/${name}`, { body: { value: 'x'.repeat(25_601) } });
        assert.deepEqual((await listed(vault, `/secrets/${name}/versions`)).map(versionOf), [before]);
        assert.equal((await get(vault, name)).value, 'one');
      },
    },
    {
      name: 'characters are counted, not bytes',
      source: value,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'ä'.repeat(25_600) });
        assert.equal((await get(vault, name)).value?.length, 25_600);
      },
    },
    {
      name: 'a name of 127 characters fits',
      source: names,
      run: async (vault) => {
        const name = vault.fresh(127);
        assert.equal(name.length, 127);
        await set(vault, name, { value: 'longest name' });
        assert.equal((await get(vault, name)).value, 'longest name');
      },
    },
    badName('128 characters', 'n'.repeat(128)),
    badName('an underscore', 'under_score'),
    badName('a dot', 'dot.ted'),
    badName('a space', 'sp%20ace'),
    badName('a letter beyond ASCII', '%C3%BCber'),
    {
      name: 'an invalid name is refused by every operation alike',
      source: dataPlane('"The request URI contains an invalid name: X"'),
      run: async (vault) => {
        const operations: readonly (readonly [Method, string])[] = [
          ['GET', '/secrets/under_score'],
          ['GET', '/secrets/under_score/versions'],
          ['DELETE', '/secrets/under_score'],
          ['GET', '/deletedsecrets/under_score'],
          ['POST', '/deletedsecrets/under_score/recover'],
        ];
        for (const [method, path] of operations)
          assertRefused(await vault.call(method, path), { status: 400, code: 'BadParameter' });
      },
    },
    {
      name: 'a secret is found under its name in any case',
      source: names,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'one' });
        assert.equal((await get(vault, name.toUpperCase())).value, 'one');
      },
    },
    {
      name: 'sets under names that differ in case make versions of one secret',
      source: names,
      run: async (vault) => {
        const name = vault.fresh();
        const made = [
          versionOf(await set(vault, name, { value: 'one' })),
          versionOf(await set(vault, name.toUpperCase(), { value: 'two' })),
        ];
        const versions = await listed(vault, `/secrets/${name}/versions`);
        assert.deepEqual(versions.map(versionOf), made.toSorted());
        assert.equal((await get(vault, name)).value, 'two');
      },
    },
  ],
};
