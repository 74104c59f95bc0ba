import assert from 'node:assert/strict';
import { dataPlane, type Check, type Theme } from '../check.ts';
import { manyVersionsOf, sampleOf } from '../sample.ts';
import { assertRefused, pageIn, pages, set, versionOf, type ListPage } from '../wire.ts';

const size = dataPlane('"Lists: maxresults 1–25"');
const link = dataPlane('"nextLink absolute or null, with :443 and $skiptoken"');
const empty = dataPlane('"pages may be empty and still carry a nextLink (R)"');

const refusedSize = (given: string): Check => ({
  name: `maxresults=${given} is 400 BadParameter`,
  source: size,
  run: async (vault) =>
    assertRefused(await vault.call('GET', `/secrets?maxresults=${given}`), {
      status: 400,
      code: 'BadParameter',
    }),
});

async function all(list: AsyncIterable<ListPage>): Promise<ListPage[]> {
  const found: ListPage[] = [];
  for await (const page of list) found.push(page);
  return found;
}

export const paging: Theme = {
  name: 'paging',
  checks: [
    {
      name: 'pages of seven lead through all versions, each once',
      source: `${size}; ${empty}`,
      run: async (vault) => {
        const { name, versions } = await manyVersionsOf(vault);
        const found = await all(pages(vault, `/secrets/${name}/versions?maxresults=7`));
        assert.ok(
          found.every(({ value }) => value.length <= 7),
          'no page has more than seven',
        );
        assert.ok(found.length >= 5, `${found.length} pages`);
        assert.deepEqual(found.flatMap(({ value }) => value).map(versionOf), versions.toSorted());
      },
    },
    {
      name: 'a page has 25 entries at most when nothing is said of its size',
      source: size,
      run: async (vault) => {
        const { name, versions } = await manyVersionsOf(vault);
        const found = await all(pages(vault, `/secrets/${name}/versions`));
        const sizes = found.map(({ value }) => value.length);
        assert.ok(Math.max(...sizes) <= 25, `the pages have ${sizes.join(', ')} entries`);
        assert.equal(found.flatMap(({ value }) => value).length, versions.length);
      },
    },
    {
      name: 'the next link is absolute, with port 443 and a skip token, to the same list',
      source: link,
      run: async (vault) => {
        const { name } = await manyVersionsOf(vault);
        const path = `/secrets/${name}/versions`;
        const nextLink = String(pageIn(await vault.call('GET', `${path}?maxresults=1`)).nextLink);
        assert.ok(nextLink.startsWith(`${vault.url}:443${path}?`), `${nextLink} leads to ${path}`);
        assert.match(nextLink, /[?&](\$|%24)skiptoken=[^&]+/);
        assert.match(nextLink, /[?&]maxresults=1(&|$)/);
      },
    },
    {
      name: 'the next link carries the api-version on',
      source: link,
      run: async (vault) => {
        const { name } = await manyVersionsOf(vault);
        const answer = await vault.call('GET', `/secrets/${name}/versions?api-version=7.5&maxresults=1`);
        assert.match(String(pageIn(answer).nextLink), /[?&]api-version=7\.5(&|$)/);
      },
    },
    {
      name: 'the last page says nextLink null instead of leaving it out',
      source: link,
      run: async (vault) => {
        const { name } = await sampleOf(vault);
        const found = await all(pages(vault, `/secrets/${name}/versions`));
        assert.equal(found.at(-1)?.nextLink, null);
        assert.equal(found.flatMap(({ value }) => value).length, 2);
      },
    },
    {
      name: 'the list of secrets is paged as well',
      source: `${size}; ${link}`,
      run: async (vault) => {
        await sampleOf(vault);
        await set(vault, vault.fresh(), { value: 'x' });
        const first = pageIn(await vault.call('GET', '/secrets?maxresults=1'));
        assert.ok(first.value.length <= 1, `${first.value.length} entries`);
        const second = pageIn(await vault.call('GET', String(first.nextLink)));
        const seen = new Set(first.value.map(({ id }) => id));
        assert.ok(
          second.value.every(({ id }) => !seen.has(id)),
          'the second page goes on where the first ended',
        );
        assert.ok(
          second.value.length + first.value.length > 0 || second.nextLink !== null,
          'the list goes on',
        );
      },
    },
    refusedSize('0'),
    refusedSize('26'),
    refusedSize('many'),
    {
      name: 'the client library reads all pages, of the size it asks for',
      source: 'key-vault.md: SDK bugs (E): "byPage() pages lose continuationToken"',
      run: async (vault) => {
        const { name, versions } = await manyVersionsOf(vault);
        const found: string[] = [];
        const list = vault.client.listPropertiesOfSecretVersions(name).byPage({ maxPageSize: 10 });
        for await (const page of list) {
          assert.ok(page.length <= 10, `a page of ${page.length}`);
          found.push(...page.map(({ version = '' }) => version));
        }
        assert.deepEqual(found, versions.toSorted());
      },
    },
    {
      name: 'an empty page may carry a nextLink',
      source: empty,
      needs: 'emptyPages',
      run: async (vault) => {
        await set(vault, vault.fresh(), { value: 'x' });
        const first = pageIn(await vault.call('GET', '/secrets'));
        assert.deepEqual(first.value, []);
        assert.equal(typeof first.nextLink, 'string');
      },
    },
    {
      name: 'who follows the links gets past empty pages to every secret',
      source: empty,
      needs: 'emptyPages',
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x' });
        const found = await all(pages(vault, '/secrets?maxresults=1'));
        assert.equal(found[0]?.value.length, 0, 'the list begins with an empty page');
        const ids = found.flatMap(({ value }) => value).map(({ id }) => id);
        assert.equal(ids.filter((id) => id.endsWith(`/${name}`)).length, 1);
        assert.equal(new Set(ids).size, ids.length, 'nothing is listed twice');
      },
    },
    {
      name: 'the client library gets past empty pages as well',
      source: empty,
      needs: 'emptyPages',
      run: async (vault) => {
        const name = vault.fresh();
        const version = versionOf(await set(vault, name, { value: 'x' }));
        const sizes: number[] = [];
        const found: (string | undefined)[] = [];
        for await (const page of vault.client.listPropertiesOfSecretVersions(name).byPage()) {
          sizes.push(page.length);
          found.push(...page.map((entry) => entry.version));
        }
        assert.equal(sizes[0], 0);
        assert.deepEqual(found, [version]);
      },
    },
  ],
};
