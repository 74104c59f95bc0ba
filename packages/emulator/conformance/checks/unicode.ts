import assert from 'node:assert/strict';
import { dataPlane, type Check, type Theme } from '../check.ts';
import { get, set } from '../wire.ts';

const source = dataPlane('"value 25,600 characters"; P: value is a JSON string');

const kept = (what: string, value: string): Check => ({
  name: `${what} come back as they were set`,
  source,
  run: async (vault) => {
    const name = vault.fresh();
    assert.equal((await set(vault, name, { value })).value, value);
    assert.equal((await get(vault, name)).value, value);
  },
});

export const unicode: Theme = {
  name: 'unicode',
  checks: [
    kept('letters of many scripts', 'pässwörd Zażółć пароль 密码 パスワード كلمة सचिव'),
    kept('characters beyond the basic plane', '🔑👩‍👩‍👧‍👦𝒦𝑒𝓎𠜎'),
    kept('combining characters, not composed to others,', 'e\u0301 \u00e9 A\u030a \u00c5 ﬁ'),
    kept('spaces and line ends at both ends', ' \t\r\n x \n\u00a0'),
    kept('control characters', 'a\u0000b\u0001c\u001f\u007f'),
    kept('a byte order mark and invisible characters', '\ufeffx\u200b\u200e\u2028\u2029'),
    kept(
      'quotes, backslashes and what looks like JSON',
      '{"value":"\\"\\\\","a":[null]} </script> %41 &amp;',
    ),
    {
      name: 'tags and content type hold every script as well',
      source: dataPlane('"15 tags of 512/512"; P: tags are JSON strings'),
      run: async (vault) => {
        const name = vault.fresh();
        const properties = { tags: { 'Schlüssel 🔑': 'wärt 値', größe: '½' }, contentType: 'text/plain; ü' };
        await set(vault, name, { value: 'x', ...properties });
        const { tags, contentType } = await get(vault, name);
        assert.deepEqual({ tags, contentType }, properties);
      },
    },
    {
      name: 'the client library sends and reads every script',
      source,
      run: async (vault) => {
        const name = vault.fresh();
        await vault.client.setSecret(name, 'pässwörd 🔑', { tags: { größe: '½' } });
        const { value, properties } = await vault.client.getSecret(name);
        assert.deepEqual([value, properties.tags], ['pässwörd 🔑', { größe: '½' }]);
      },
    },
  ],
};
