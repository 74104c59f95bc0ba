import { readFile } from 'node:fs/promises';
import { expect, test, vi } from 'vitest';
import { openSecrets } from '../src/index.ts';
import { followSecret } from './examples/redis-adapter.ts';
import { startFakeRotator } from './fakes/fake-rotator.ts';
import { fakeVault } from './fakes/fake-vault.ts';

test("the README's adapter follows a rotation, keeps the old version when the new one is refused, and reports both", async () => {
  const rotator = await startFakeRotator();
  const vault = fakeVault('v1');
  const secrets = openSecrets({
    vault,
    rotator: { url: rotator.url, consumer: 'orders-api', instance: 'orders-api-1' },
  });
  const redis = {
    options: { password: '' },
    auth: (password: string) =>
      password === 'value of v2' ? Promise.reject(new Error('WRONGPASS')) : Promise.resolve('OK'),
  };
  const publish = (version: string) => {
    vault.publish(version);
    rotator.announce('db', version);
  };
  const reported = (state: object) =>
    vi.waitFor(() => expect(rotator.reports.at(-1)?.secrets).toMatchObject([state]), { timeout: 5_000 });

  const stop = await followSecret(secrets, 'db', redis);
  await reported({ version: 'v1', held: [], authenticatedAt: expect.any(String) });
  publish('v2');
  await reported({ version: 'v1', held: [], refused: { v2: 1 } });
  expect(redis.options.password).toBe('value of v1');
  publish('v3');
  await reported({ version: 'v3', held: [] });
  expect(redis.options.password).toBe('value of v3');
  stop();
  await secrets.close();
  await rotator.close();
});

test('the README shows the adapter that is tested here', async () => {
  const adapter = await readFile(new URL('examples/redis-adapter.ts', import.meta.url), 'utf8');
  expect(await readFile(new URL('../README.md', import.meta.url), 'utf8')).toContain(adapter.trim());
});
