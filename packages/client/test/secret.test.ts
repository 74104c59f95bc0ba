import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { openSecrets, type StandardSchema } from '../src/index.ts';
import { settle } from './fakes/fake-clock.ts';
import { fakeVault } from './fakes/fake-vault.ts';

async function secretOf(value: string) {
  const vault = fakeVault('v1');
  vault.publish('v1', value);
  return openSecrets({ vault }).get('db');
}

const login = z.object({ username: z.string(), password: z.string().min(8) });

test('a value is parsed by a schema, once', async () => {
  const secret = await secretOf('{"username":"a","password":"correct horse"}');
  expect(secret.parse(login)).toEqual({ username: 'a', password: 'correct horse' });
  expect(secret.parse(login)).toBe(secret.parse(login));
  expect((await secretOf('just text')).parse(z.string())).toBe('just text');
});

test('a value that does not fit names the places and quotes nothing', async () => {
  const quoting: StandardSchema<string> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) => ({ issues: [{ message: `Received ${String(value)}` }] }),
    },
  };
  const secret = await secretOf('{"username":7,"password":"hunter2"}');
  expect(() => secret.parse(login)).toThrow(
    expect.objectContaining({
      code: 'VALUE_FORMAT',
      message: 'The value of [secret db@v1…] does not fit its schema: username, password.',
    }),
  );
  const text = await secretOf('hunter2');
  expect(() => text.parse(quoting)).toThrow(/schema: the whole value\.$/);
});

test('a schema that answers later is refused', async () => {
  const later = z.string().refine(async () => Promise.resolve(true));
  const secret = await secretOf('x');
  expect(() =>
    secret.parse({ '~standard': { ...later['~standard'], validate: async () => ({ value: 'x' }) } }),
  ).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
});

test.each([
  ['throws', (value: unknown) => new URL(String(value)) as never],
  ['rejects later', (value: unknown) => Promise.reject(Object.assign(new Error('no'), { input: value }))],
])('a schema that %s with the value in its error passes nothing of it on', async (_how, validate) => {
  const unheard: unknown[] = [];
  const hear = (error: unknown) => unheard.push(error);
  process.on('unhandledRejection', hear);
  const secret = await secretOf('hunter2');
  let failure: unknown;
  try {
    secret.parse({ '~standard': { version: 1, vendor: 'test', validate } });
  } catch (error) {
    failure = error;
  }
  await settle();
  process.off('unhandledRejection', hear);
  expect(unheard).toEqual([]);
  expect(failure).toMatchObject({ name: 'SecretsError' });
  expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('hunter2');
});

test('a transformation of zod that throws neither ends the process nor tells the value', async () => {
  const secret = await secretOf('hunter2');
  expect(() => secret.parse(z.string().transform((text) => new URL(text)))).toThrow(
    /does not fit its schema|a promise/,
  );
  await settle(); // an unhandled rejection would fail this run
});

test.each(['12345678', '1e400', 'true', 'null', '"quoted"'])(
  'the text %s is a text, whatever JSON says',
  async (text) => {
    expect((await secretOf(text)).parse(z.string())).toBe(text);
  },
);

test('values are compared without being revealed', async () => {
  const [one, same, other] = await Promise.all(['hunter2', 'hunter2', 'hunter3'].map(secretOf));
  expect(one?.equals(same ?? '')).toBe(true);
  expect(one?.equals('hunter2')).toBe(true);
  expect(one?.equals(other ?? '')).toBe(false);
});

test('lent bytes are zeros when they come back, also after an error', async () => {
  const secret = await secretOf('hünter2');
  let kept: Uint8Array | undefined;
  const text = await secret.withBytes((bytes) => {
    kept = bytes;
    return new TextDecoder().decode(bytes);
  });
  expect(text).toBe('hünter2');
  expect(kept).toEqual(new Uint8Array(8));
  await expect(
    secret.withBytes((bytes) => {
      kept = bytes;
      return Promise.reject(new Error('no'));
    }),
  ).rejects.toThrow('no');
  expect(kept).toEqual(new Uint8Array(8));
});

test('declared names are checked by the compiler', async () => {
  const secrets = openSecrets<'db'>({ vault: fakeVault('v1') });
  expect((await secrets.get('db')).version).toBe('v1');
  // @ts-expect-error there is no such secret
  await secrets.get('dbb');
});
