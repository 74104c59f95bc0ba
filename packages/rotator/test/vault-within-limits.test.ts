import { SecretValue } from '@keyturn/source';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Vault } from '../src/vault.ts';
import { withinLimits } from '../src/vault-within-limits.ts';

/** A vault that notes when it was asked, and a clock that lets sleepers go in the order of their times. */
function openWorld(atFirst = 1) {
  let replicas = atFirst;
  let now = 1_000_000;
  let sleepers: { readonly until: number; wake(): void }[] = [];
  const asked: { readonly what: string; readonly at: number }[] = [];
  const note = (what: string) => async () => void asked.push({ what, at: now });
  const vault = {
    url: 'https://orders.vault.azure.net',
    current: note('other'),
    versions: note('other'),
    read: note('other'),
    publish: note('create'),
    tag: note('update'),
    disable: note('update'),
  } as unknown as Vault;
  const clock = {
    now: () => now,
    sleep: (ms: number) => new Promise<void>((wake) => void sleepers.push({ until: now + ms, wake })),
  };
  return {
    asked,
    now: () => now,
    setReplicas: (live: number) => void (replicas = live),
    vault: withinLimits(vault, { clock, replicas: () => replicas }),
    /** Lets time pass, so long or until nobody waits. */
    async pass(ms = Infinity) {
      const until = now + ms;
      for (;;) {
        await new Promise(setImmediate);
        const [first] = sleepers.toSorted((one, other) => one.until - other.until);
        if (!first || first.until > until) break;
        now = Math.max(now, first.until);
        sleepers = sleepers.filter((one) => one !== first);
        first.wake();
      }
      if (until < Infinity) now = until;
    },
  };
}

/** The most requests of a kind in any ten seconds. */
function mostIn(asked: readonly { readonly what: string; readonly at: number }[], what: string): number {
  const times = asked.filter((one) => one.what === what).map(({ at }) => at);
  return Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + 10_000).length));
}

const value = new SecretValue('a value');
const publish = ({ vault }: ReturnType<typeof openWorld>) =>
  vault.publish('orders-db', value, { expiresOn: new Date(0), tags: {} });

describe('a vault within its limits', () => {
  it('is set less than 300 times in any ten seconds, whatever is asked when', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 0, max: 15_000 })), {
          maxLength: 4,
        }),
        async (bursts) => {
          const world = openWorld();
          const all: Promise<unknown>[] = [];
          for (const [count, pauseMs] of bursts) {
            for (let number = 0; number < count; number += 1) all.push(publish(world));
            await world.pass(pauseMs);
          }
          await world.pass();
          await Promise.all(all);
          expect(mostIn(world.asked, 'create')).toBeLessThan(300);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('lets few requests through at once', async () => {
    const world = openWorld();
    const all = Array.from({ length: 80 }, () => publish(world));
    await Promise.all(all);
    expect(world.asked).toHaveLength(80);
  });

  it('serves who waits in the order of asking', async () => {
    const world = openWorld();
    const order: number[] = [];
    const all = Array.from({ length: 200 }, (_, number) => publish(world).then(() => order.push(number)));
    await world.pass();
    await Promise.all(all);
    expect(order).toEqual(order.toSorted((one, other) => one - other));
  });

  it('gives each of several rotators its share', async () => {
    const world = openWorld(3);
    const all = Array.from({ length: 400 }, () => publish(world));
    await world.pass();
    await Promise.all(all);
    expect(mostIn(world.asked, 'create')).toBeLessThan(100);
  });

  it('gives up what it has too much of as soon as others come, even to those who wait already', async () => {
    const world = openWorld();
    const all = Array.from({ length: 1_000 }, () => publish(world));
    await world.pass(5_000);
    world.setReplicas(3);
    const from = world.now();
    await world.pass();
    await Promise.all(all);
    expect(mostIn(world.asked, 'create')).toBeLessThan(300);
    const after = world.asked.filter(({ at }) => at > from + 100);
    expect(mostIn(after, 'create')).toBeLessThan(100);
  });

  it('takes the whole again when the others are gone', async () => {
    const world = openWorld(3);
    const all = Array.from({ length: 600 }, () => publish(world));
    await world.pass(5_000);
    world.setReplicas(1);
    const from = world.now();
    await world.pass();
    await Promise.all(all);
    const after = world.asked.filter(({ at }) => at > from);
    expect(mostIn(after, 'create')).toBeGreaterThan(150);
    expect(mostIn(after, 'create')).toBeLessThan(300);
  });

  it('reads less than 4,000 times in ten seconds, an update counting for two', async () => {
    const world = openWorld();
    const all = Array.from({ length: 3_000 }, () => world.vault.tag('orders-db', 'v1', {}));
    await world.pass();
    await Promise.all(all);
    expect(mostIn(world.asked, 'update')).toBeLessThan(2_000);
  }, 30_000);
});
