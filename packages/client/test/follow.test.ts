import { expect, test } from 'vitest';
import { follow, openSecrets } from '../src/index.ts';
import { fakeVault } from './fakes/fake-vault.ts';

test.each([undefined, null, 'a text', 7])('an action may throw %s', async (thrown) => {
  const secrets = openSecrets({ vault: fakeVault('v1') });
  const login = follow(secrets, 'db', {
    open: (secret) => secret.version,
    prove: () => Promise.resolve(),
    close() {},
    refused: (error) => (error as { code?: string }).code === 'refused', // as most would write it
  });
  await expect(login.use(() => Promise.reject(thrown as unknown as Error))).rejects.toBe(thrown);
  await login.close();
  await secrets.close();
});

test('a signal ends the waiting for the first login, and the login goes on for others', async () => {
  const secrets = openSecrets({ vault: fakeVault('v1') });
  const proven = Promise.withResolvers<void>();
  const login = follow(secrets, 'db', {
    open: (secret) => secret.version,
    prove: () => proven.promise,
    close() {},
  });
  const abort = new AbortController();
  const waiting = login.use((version) => version, { signal: abort.signal });
  abort.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  proven.resolve();
  expect(await login.use((version) => version)).toBe('v1');
  await login.close();
  await secrets.close();
});

test.each(['', 'a/b', 'x'.repeat(128), 'naïve', undefined])('%j is no name of a secret', async (name) => {
  const vault = fakeVault('v1');
  const secrets = openSecrets({ vault });
  expect(() => secrets.handle(name as string)).toThrow(
    expect.objectContaining({ code: 'OPTIONS_INVALID' }) as Error,
  );
  expect(vault.reads).toEqual([]);
  await secrets.close();
});
