import type { SecretValue } from '@keyturn/source';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { breakingAt, type Breaking } from './redis-breaking.ts';
import { hasRedis, startRedis, type RedisServer } from './redis-server.ts';
import { logIn, openWorld, type World } from './redis-world.ts';

let server: RedisServer;

/** Counts the commands of a run that is left alone, then breaks one run at each of them, before and after. */
async function atEveryCommand(run: (world: World, broken: Breaking) => Promise<void>): Promise<void> {
  const runOnce = async (at: Parameters<typeof breakingAt>[1]): Promise<Breaking> => {
    const world = await openWorld(server);
    const broken = await breakingAt(world, at);
    await run(world, broken);
    await broken.close();
    await world.close();
    return broken;
  };
  const commands = (await runOnce({ command: Infinity, when: 'before' })).commands();
  const all = Array.from({ length: commands }, (_, index) =>
    (['before', 'after'] as const).map((when) => ({ command: index + 1, when })),
  ).flat();
  // At once: each has a user of its own.
  const runs = await Promise.all(all.map(runOnce));
  expect(runs.length).toBeGreaterThan(20);
}

async function theOnlyRef({ source }: World): Promise<string> {
  const [ref = '', ...others] = await source.list();
  expect(others).toEqual([]);
  return ref;
}

const refuses = ({ source }: World, value: SecretValue) =>
  expect(source.prove(value)).rejects.toMatchObject({ code: 'REFUSED' });

/** What Keyturn has noted at the server of the user's passwords. */
async function notesOf({ user }: World): Promise<readonly string[]> {
  const found = (await server.run('ACL', 'GETUSER', `keyturn:${user}`)) as { passwords: string[] } | null;
  return found?.passwords ?? [];
}

describe.skipIf(!hasRedis)('Redis, when Keyturn ends at any command', () => {
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  it('an issue that broke off leaves nothing behind once it is repeated', async () => {
    await atEveryCommand(async (world, broken) => {
      const current = await theOnlyRef(world);
      await broken.source.issue('orders@1', current).catch(() => undefined);
      await world.source.prove(world.currentValue);
      const { ref, value } = await world.source.issue('orders@1', undefined);
      await world.source.prove(value);
      await world.source.prove(world.currentValue);
      expect((await world.source.list()).toSorted()).toEqual([current, ref].toSorted());
      expect(await notesOf(world)).toHaveLength(1);
    });
  });

  it('a repeated issue that broke off still ends what it replaces', async () => {
    await atEveryCommand(async (world, broken) => {
      const current = await theOnlyRef(world);
      const first = await world.source.issue('orders@1', current);
      const session = await logIn(world, first.value);
      await broken.source.issue('orders@1', current).catch(() => undefined);
      const { ref } = await world.source.issue('orders@1', current);
      expect(await session.works()).toBe(false);
      await refuses(world, first.value);
      expect((await world.source.list()).toSorted()).toEqual([current, ref].toSorted());
      await session.close();
    });
  });

  it('a revocation that broke off is completed by repeating it', async () => {
    await atEveryCommand(async (world, broken) => {
      const current = await theOnlyRef(world);
      const { ref, value } = await world.source.issue('orders@1', current);
      const sessions = [
        await logIn(world, world.currentValue),
        await logIn(world, world.currentValue, 'does-not-say'),
      ];
      const fresh = await logIn(world, value);
      await broken.source.revoke(current).catch(() => undefined);
      await world.source.revoke(current);
      for (const session of sessions) expect(await session.works()).toBe(false);
      await refuses(world, world.currentValue);
      expect(await fresh.works()).toBe(true);
      expect(await world.source.list()).toEqual([ref]);
      expect(await notesOf(world)).toHaveLength(1);
      await fresh.close();
    });
  });
});
