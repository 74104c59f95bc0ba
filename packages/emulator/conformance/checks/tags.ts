import assert from 'node:assert/strict';
import { dataPlane, type Check, type Theme } from '../check.ts';
import { sampleOf } from '../sample.ts';
import { assertRefused, get, set, versionOf } from '../wire.ts';

const limits = dataPlane('"contentType 255; 15 tags of 512/512"');

const numbered = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`tag-${index}`, `value ${index}`]));

const accepted = (what: string, properties: object): Check => ({
  name: `${what} fits`,
  source: limits,
  run: async (vault) => {
    const name = vault.fresh();
    await set(vault, name, { value: 'x', ...properties });
    const { tags, contentType } = await get(vault, name);
    assert.partialDeepStrictEqual({ tags, contentType }, properties);
  },
});

const refused = (what: string, properties: object): Check => ({
  name: `${what} is 400 BadParameter, and nothing is set`,
  source: limits,
  run: async (vault) => {
    const name = vault.fresh();
    const answer = await vault.call('PUT', `/secrets/${name}`, { body: { value: 'x', ...properties } });
    assertRefused(answer, { status: 400, code: 'BadParameter' });
    assertRefused(await vault.call('GET', `/secrets/${name}`), { status: 404, code: 'SecretNotFound' });
  },
});

export const tags: Theme = {
  name: 'tags and content type',
  checks: [
    {
      name: 'tags and content type come back as they were set',
      source: 'key-vault.md: Event Grid: "rotation tutorials use the tags CredentialId, …"',
      run: async (vault) => {
        const sample = await sampleOf(vault);
        const answer = await get(vault, sample.name);
        assert.deepEqual([answer.tags, answer.contentType], [sample.tags, sample.contentType]);
      },
    },
    {
      name: 'tags belong to a version: the next set has only its own',
      source: 'P: SecretSetParameters.tags; R: recorded sets',
      run: async (vault) => {
        const name = vault.fresh();
        const first = await set(vault, name, { value: 'x', contentType: 'a', tags: { one: '1' } });
        const second = await set(vault, name, { value: 'y' });
        assert.deepEqual([second.tags, second.contentType], [undefined, undefined]);
        assert.deepEqual((await get(vault, name, versionOf(first))).tags, { one: '1' });
      },
    },
    accepted('fifteen tags', { tags: numbered(15) }),
    refused('a sixteenth tag', { tags: numbered(16) }),
    accepted('a tag name of 512 characters', { tags: { ['n'.repeat(512)]: 'x' } }),
    refused('a tag name of 513 characters', { tags: { ['n'.repeat(513)]: 'x' } }),
    accepted('a tag value of 512 characters', { tags: { name: 'v'.repeat(512) } }),
    refused('a tag value of 513 characters', { tags: { name: 'v'.repeat(513) } }),
    accepted('a content type of 255 characters', { contentType: 'c'.repeat(255) }),
    refused('a content type of 256 characters', { contentType: 'c'.repeat(256) }),
    {
      name: 'an update that would exceed the limit of tags changes nothing',
      source: limits,
      run: async (vault) => {
        const name = vault.fresh();
        await set(vault, name, { value: 'x', tags: { one: '1' } });
        const answer = await vault.call('PATCH', `/secrets/${name}/`, { body: { tags: numbered(16) } });
        assertRefused(answer, { status: 400, code: 'BadParameter' });
        assert.deepEqual((await get(vault, name)).tags, { one: '1' });
      },
    },
  ],
};
