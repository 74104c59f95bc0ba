import { expect, it } from 'vitest';
import { isConfidential, rotatorUrl } from '../src/api-address.ts';
import { openApiClient } from '../src/api-client.ts';
import { exitCodeFor } from '../src/exit-codes.ts';

it('a rotator is at 127.0.0.1:7420 unless told otherwise, and may be behind a path', async () => {
  expect((await rotatorUrl({})).href).toBe('http://127.0.0.1:7420/');
  expect((await rotatorUrl({ url: 'https://example.com/keyturn' })).href).toBe(
    'https://example.com/keyturn/',
  );
});

it.each([
  ['https://rotator.internal', true],
  ['http://127.0.0.1:7420', true],
  ['http://localhost', true],
  ['http://[::1]:7420', true],
  ['http://rotator.internal', false],
  ['http://127.0.0.1.evil.example', false],
  ['http://localhost.evil.example', false],
])('a token to %s is safe on its way: %s', (url, safe) => {
  expect(isConfidential(new URL(url))).toBe(safe);
});

it('no token is got for an address to which it would travel readable', async () => {
  let asked = 0;
  const signIn = async () => {
    asked += 1;
    return 'token';
  };
  const client = await openApiClient({ url: 'http://192.0.2.1', scope: 'api://keyturn/.default' }, signIn);
  const refused = await client
    .stream('v1/events', new AbortController().signal)
    .catch((error: unknown) => error);
  expect(exitCodeFor(refused)).toBe(13);
  expect(asked).toBe(0);
});
