import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openSignedInClients } from '../../src/adapters/signed-in-clients.ts';
import { openSecrets } from '../../src/index.ts';
import { fakeClock, settle } from '../fakes/fake-clock.ts';
import { fakeVault } from '../fakes/fake-vault.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

test('a proof that comes after its time is over brings no older version back', async () => {
  const clock = fakeClock();
  const vault = fakeVault('v1');
  const secrets = openSecrets({ vault, clock, random: () => 0.5 });
  const slow = Promise.withResolvers<void>();
  const signedIn: string[] = [];
  const clients = openSignedInClients<object, string, string>(secrets, 'db', {
    read: ({ version }) => version,
    prove: (login) => (login === 'v2' ? slow.promise : Promise.resolve()),
    signIn(_client, newest) {
      signedIn.push(newest().version);
      return Promise.resolve(newest());
    },
    end: () => Promise.resolve(),
    failed() {},
  });
  await clients.add(() => ({}));
  vault.publish('v2');
  await clock.advance(60_000);
  await vi.advanceTimersByTimeAsync(10_000); // the proof of v2 is given up
  vault.publish('v3');
  await clock.advance(60_000);
  await vi.advanceTimersByTimeAsync(20_000);
  await settle();
  expect(signedIn).toEqual(['v3']);
  slow.resolve();
  await settle();
  expect(signedIn).toEqual(['v3']);
  await clients.close();
  await secrets.close();
});
