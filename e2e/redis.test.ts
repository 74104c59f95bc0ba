import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from './cli.ts';
import type { LiveClient } from './kill/clients.ts';
import { startRedisClient } from './redis-clients.ts';
import { connections, fingerprintOf, hasRedis, logIn, secretName, sha256 } from './redis-source.ts';
import { buildRedisWorld, type RedisWorld } from './redis-world.ts';

let world: RedisWorld;

async function current(): Promise<{ version: string; value: string; password: string }> {
  const { value = '', properties } = await world.vault.getSecret(secretName);
  const { password } = new URL(value);
  world.values.add(password);
  return { version: properties.version ?? '', value, password };
}

const fingerprint = (password: string) => fingerprintOf(sha256(password));

async function keyturn(command: string, config: string) {
  return runCli(world, [command, secretName, '--config', config, '--json']);
}

describe.skipIf(!hasRedis)('keyturn rotate, with two passwords of one ACL user of Redis', () => {
  let instances: LiveClient[] = [];
  beforeAll(async () => {
    world = await buildRedisWorld();
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    const at = { vault: world.vault, url: world.rotatorUrl };
    instances = [
      await startRedisClient({ ...at, driver: 'redis' }),
      await startRedisClient({ ...at, driver: 'ioredis' }),
    ];
  });
  afterEach(() => Promise.all(instances.map((instance) => instance.close())));

  it('under load no request fails, no connection is made anew, and the old password is refused', async () => {
    const config = await world.configure();
    expect(await keyturn('plan', config)).toMatchObject({ code: 0 });
    for (let round = 0; round < 2; round += 1) {
      const old = await current();
      const before = await connections(world.redis);
      expect(before.map(({ name }) => name)).toEqual(
        Array(4).fill(`orders-api@${fingerprint(old.password)}`),
      );
      const servedBefore = instances.map((instance) => instance.served());

      const ran = await keyturn('rotate', config);

      expect(ran.code, ran.err).toBe(0);
      expect(JSON.parse(ran.out)).toMatchObject({
        outcome: 'closed',
        id: `${secretName}@${old.version}`,
        notChecked: [],
      });
      expect(instances.flatMap((instance) => instance.takeFailures())).toEqual([]);
      instances.forEach((instance, index) =>
        expect(instance.served()).toBeGreaterThan((servedBefore[index] ?? 0) + 100),
      );
      const fresh = await current();
      expect(fresh.password).not.toBe(old.password);
      const name = `orders-api@${fingerprint(fresh.password)}`;
      expect(await connections(world.redis)).toEqual(before.map(({ id }) => ({ id, name })));
      await expect(logIn(old.value, 'old')).rejects.toThrow(/^WRONGPASS/);
      const kept = await readFile(world.redis.aclFile, 'utf8');
      expect(kept).toContain(sha256(fresh.password));
      expect(kept).not.toContain(sha256(old.password));
      expect(await keyturn('drift', config)).toMatchObject({ code: 0 });
    }
    for (const value of world.values)
      expect(world.written.filter((text) => text.includes(value))).toEqual([]);
  });

  it('waits for a connection that holds the old password, and names it', async () => {
    const old = await current();
    const straggler = await logIn(old.value, `nightly-job@${fingerprint(old.password)}`);
    const held = await keyturn(
      'rotate',
      await world.configure((text) => text.replace('deadline: 60s', 'deadline: 1s')),
    );
    expect(held.code, held.err).toBe(6);
    expect(held.err).toMatch(/waiting for session of nightly-job 127\.0\.0\.1:\d+/);
    expect(await straggler.ping()).toBe('PONG');
    await straggler.close();
    const ran = await keyturn('rotate', await world.configure());
    expect(ran.code, ran.err).toBe(0);
    expect(JSON.parse(ran.out)).toMatchObject({ outcome: 'closed', id: `${secretName}@${old.version}` });
    await expect(logIn(old.value, 'old')).rejects.toThrow(/^WRONGPASS/);
    expect(instances.flatMap((instance) => instance.takeFailures())).toEqual([]);
  });

  it('says that usage was not checked where a connection does not say which password it uses', async () => {
    const old = await current();
    const silent = await logIn(old.value, 'nightly-job');
    const ran = await keyturn('rotate', await world.configure());
    expect(ran.code, ran.err).toBe(0);
    const { notChecked } = JSON.parse(ran.out) as { notChecked: readonly string[] };
    expect(notChecked.join()).toMatch(/usage/);
    await expect(silent.ping()).rejects.toThrow(/closed|Socket/i);
    expect(instances.flatMap((instance) => instance.takeFailures())).toEqual([]);
  });
});
