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
