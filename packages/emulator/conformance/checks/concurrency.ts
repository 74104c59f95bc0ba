import assert from 'node:assert/strict';
import { dataPlane, type Theme } from '../check.ts';
import { bundleIn, get, listed, set, versionOf } from '../wire.ts';

const newest = dataPlane('"Current version = newest set"');
const noCompare = dataPlane('"There is no compare-and-set on secrets"');

export const concurrency: Theme = {
  name: 'concurrency',
  checks: [
    {
      name: 'fifty sets at once make fifty versions',
      source: noCompare,
      run: async (vault) => {
        const name = vault.fresh();
        const sets = await Promise.all(
          Array.from({ length: 50 }, (_, index) => set(vault, name, { value: `value ${index}` })),
        );
        const versions = (await listed(vault, `/secrets/${name}/versions`)).map(versionOf);
        assert.deepEqual(versions, sets.map(versionOf).toSorted());
        const current = await get(vault, name);
        const winner = sets.find((each) => versionOf(each) === versionOf(current));
        assert.equal(current.value, winner?.value, 'the current version is one of the sets, with its value');
      },
    },
    {
      name: 'each of several sets at once keeps its own value',
      source: noCompare,
      run: async (vault) => {
        const name = vault.fresh();
        const values = Array.from({ length: 10 }, (_, index) => `value ${index}`);
        const sets = await Promise.all(values.map((value) => set(vault, name, { value, tags: { value } })));
        for (const [index, each] of sets.entries()) {
          const answer = await get(vault, name, versionOf(each));
          assert.deepEqual([answer.value, answer.tags], [values[index], { value: values[index] }]);
        }
      },
    },
    {
      name: 'a set is current as soon as it is answered',
      source: newest,
      run: async (vault) => {
        const name = vault.fresh();
        for (let count = 1; count <= 10; count += 1) {
          const version = versionOf(await set(vault, name, { value: `value ${count}` }));
          const answer = await get(vault, name);
          assert.deepEqual([versionOf(answer), answer.value], [version, `value ${count}`]);
        }
      },
    },
    {
      name: 'once seen, a set is never followed by an older current version',
      source: newest,
      run: async (vault) => {
        const name = vault.fresh();
        const order = [versionOf(await set(vault, name, { value: 'value 0' }))];
        const seen: string[] = [];
        let writing = true;
        const reading = (async () => {
          while (writing) seen.push(versionOf(await get(vault, name)));
        })();
        for (let count = 1; count <= 10; count += 1)
          order.push(versionOf(await set(vault, name, { value: `value ${count}` })));
        writing = false;
        await reading;
        const places = seen.map((version) => order.indexOf(version));
        assert.ok(places.length > 0 && !places.includes(-1), 'every current version seen is one of the sets');
        assert.deepEqual(
          places,
          places.toSorted((one, other) => one - other),
        );
      },
    },
    {
      name: 'sets of different secrets at once don’t mix',
      source: newest,
      run: async (vault) => {
        const names = Array.from({ length: 10 }, () => vault.fresh());
        await Promise.all(names.map((name) => set(vault, name, { value: `of ${name}` })));
        const values = await Promise.all(names.map(async (name) => (await get(vault, name)).value));
        assert.deepEqual(
          values,
          names.map((name) => `of ${name}`),
        );
      },
    },
    {
      name: 'updates of all versions at once reach each its own',
      source: 'P: UpdateSecret names a version',
      run: async (vault) => {
        const name = vault.fresh();
        const versions: string[] = [];
        for (const value of ['one', 'two', 'three', 'four'])
          versions.push(versionOf(await set(vault, name, { value })));
        await Promise.all(
          versions.map(async (version) => {
            const body = { tags: { version } };
            bundleIn(await vault.call('PATCH', `/secrets/${name}/${version}`, { body }));
          }),
        );
        const entries = await listed(vault, `/secrets/${name}/versions`);
        assert.deepEqual(
          entries.map(({ tags }) => tags?.['version']),
          versions.toSorted(),
        );
        assert.equal((await get(vault, name)).value, 'four');
      },
    },
  ],
};
