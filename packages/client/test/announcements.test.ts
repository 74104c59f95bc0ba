import { expect, test } from 'vitest';
import { openLiveSecret } from '../src/live-secret.ts';
import { readVault } from '../src/vault.ts';
import { fakeClock } from './fakes/fake-clock.ts';
import { fakeVault, httpError } from './fakes/fake-vault.ts';

const hour = 3_600_000;

async function openLoaded() {
  const clock = fakeClock();
  const vault = fakeVault('v1');
  let skewMs = 0;
  const live = openLiveSecret({
    name: 'db',
    ttlMs: 60_000,
    vaultTimeoutMs: 5_000,
    staleIfErrorMs: 24 * hour,
    safetyTtlMs: 12 * hour,
    clock: { now: () => clock.now() + skewMs, after: clock.after },
    random: () => 0.5,
    read: (signal) => readVault(vault, 'db', signal),
    changed() {},
    failed() {},
    stale() {},
  });
  await live.load();
  return {
    live,
    clock,
    vault,
    /** Sets the clock; timers go on as before. */
    setClock: (ms: number) => (skewMs += ms),
    versionNow: () => live.current()?.version,
  };
}

test.each([10 * hour, 1e300])(
  'a spread of %d ms does not postpone what the TTL asks for',
  async (spreadMs) => {
    const { live, clock, vault, versionNow } = await openLoaded();
    vault.publish('v2');
    live.announced('v2', spreadMs);
    await clock.advance(60_000);
    expect(versionNow()).toBe('v2');
  },
);

test('a spread is no longer waited for when the rotator is lost', async () => {
  const { live, clock, vault, versionNow } = await openLoaded();
  live.watched(true);
  await clock.advance(60_000);
  vault.publish('v2');
  live.announced('v2', 10 * hour);
  await clock.advance(60_000);
  expect(versionNow()).toBe('v1');
  live.watched(false);
  await clock.advance(60_000);
  expect(versionNow()).toBe('v2');
});

test('a spread that ends before what the vault asked for does not cut that short', async () => {
  const { live, clock, vault } = await openLoaded();
  vault.behaviour = 'hold';
  await clock.advance(60_000);
  live.announced('v2', 10_000);
  vault.reads[1]?.fail(httpError(429, { 'retry-after': '40' }));
  await clock.advance(39_000);
  expect(vault.reads).toHaveLength(2);
  await clock.advance(2_000);
  expect(vault.reads).toHaveLength(3);
});

test('an announcement is heard although the clock was set forward by a day', async () => {
  const { live, clock, vault, setClock, versionNow } = await openLoaded();
  live.watched(true);
  await clock.advance(60_000);
  setClock(24 * hour);
  vault.publish('v2');
  live.announced('v2', 0);
  await clock.advance(0);
  expect(versionNow()).toBe('v2');
});

test('neither an announcement nor a refusal waits for a clock that was set back', async () => {
  const { live, clock, vault, setClock, versionNow } = await openLoaded();
  vault.behaviour = httpError(503);
  await live.refused('v1');
  await clock.advance(2_000);
  setClock(-24 * hour);
  vault.behaviour = 'answer';
  vault.publish('v2');
  live.announced('v2', 0);
  await clock.advance(0);
  expect(versionNow()).toBe('v2');

  await live.refused('v2');
  setClock(-24 * hour);
  vault.publish('v3');
  await live.refused('v2');
  expect(versionNow()).toBe('v3');
});
