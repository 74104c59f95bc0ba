import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openSecrets } from '@keyturn/client';
import { openRedis as openWithIoredis } from '@keyturn/client/ioredis';
import { openRedis as openWithNodeRedis } from '@keyturn/client/redis';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from './cli.ts';
import { buildRedisWorld, hasRedis, secretName, user, type RedisWorld } from './redis-world.ts';

let world: RedisWorld;

/** An instance of the application, with commands on every connection without a pause. */
interface Instance {
  readonly failures: readonly string[];
  served(): number;
  close(): Promise<void>;
}

async function startInstance(driver: 'redis' | 'ioredis'): Promise<Instance> {
  const secrets = openSecrets({
    vault: world.vault,
    ttlMs: 200,
    rotator: {
      url: world.rotatorUrl,
      consumer: 'orders-api',
      instance: driver,
      reconnectMaxMs: 200,
      reportEveryMs: 500,
    },
  });
  const open = driver === 'redis' ? nodeRedis : ioredis;
  const { increments, close } = await open(secrets);
  const failures: string[] = [];
  let served = 0;
  let stopped = false;
  const loops = increments.map(async (increment) => {
    while (!stopped) {
      await increment().then(
        () => (served += 1),
        (error: unknown) => failures.push(String(error)),
      );
      await sleep(1);
    }
  });
  return {
    failures,
    served: () => served,
    async close() {
      stopped = true;
      await Promise.all(loops);
      await close();
      await secrets.close();
    },
  };
}

type Secrets = ReturnType<typeof openSecrets>;

async function nodeRedis(secrets: Secrets) {
  const redis = await openWithNodeRedis(secrets, secretName, { nameConnections: 'orders-api' });
  const clients = [redis.client, await redis.duplicate()];
  return {
    increments: clients.map((client) => () => client.incr('n')),
    close: () => redis.close(),
  };
}

async function ioredis(secrets: Secrets) {
  const redis = await openWithIoredis(secrets, secretName, { nameConnections: 'orders-api' });
  const clients = [redis.client, await redis.duplicate()];
  return {
    increments: clients.map((client) => () => client.incr('n')),
    close: () => redis.close(),
  };
}

async function current(): Promise<{ version: string; value: string; password: string }> {
  const { value = '', properties } = await world.vault.getSecret(secretName);
  const { password } = new URL(value);
  world.values.add(password);
  return { version: properties.version ?? '', value, password };
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const fingerprint = (password: string) => sha256(`keyturn:${sha256(password)}`).slice(0, 12);

/** The connections of the application, as Redis sees them. */
async function connections(): Promise<readonly { readonly id: string; readonly name: string }[]> {
  const list = String(await world.run('CLIENT', 'LIST'));
  return list
    .split('\n')
    .filter((line) => line.includes(` user=${user} `))
    .map((line) => ({
      id: / ?id=(\d+)/.exec(line)?.[1] ?? '',
      name: / name=(\S*)/.exec(line)?.[1] ?? '',
    }))
    .toSorted((one, other) => Number(one.id) - Number(other.id));
}

async function logIn(url: string, name: string) {
  const client = createClient({ url, name, socket: { reconnectStrategy: false } });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function keyturn(command: string, config: string) {
  return runCli(world, [command, secretName, '--config', config, '--json']);
}

describe.skipIf(!hasRedis)('keyturn rotate, with two passwords of one ACL user of Redis', () => {
  let instances: Instance[] = [];
  beforeAll(async () => {
    world = await buildRedisWorld();
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    instances = [await startInstance('redis'), await startInstance('ioredis')];
  });
  afterEach(() => Promise.all(instances.map((instance) => instance.close())));

  it('under load no request fails, no connection is made anew, and the old password is refused', async () => {
    const config = await world.configure();
    expect(await keyturn('plan', config)).toMatchObject({ code: 0 });
    for (let round = 0; round < 2; round += 1) {
      const old = await current();
      const before = await connections();
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
      expect(instances.flatMap(({ failures }) => failures)).toEqual([]);
      instances.forEach((instance, index) =>
        expect(instance.served()).toBeGreaterThan((servedBefore[index] ?? 0) + 100),
      );
      const fresh = await current();
      expect(fresh.password).not.toBe(old.password);
      const name = `orders-api@${fingerprint(fresh.password)}`;
      expect(await connections()).toEqual(before.map(({ id }) => ({ id, name })));
      await expect(logIn(old.value, 'old')).rejects.toThrow(/^WRONGPASS/);
      const kept = await readFile(join(world.folder, 'users.acl'), 'utf8');
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
    expect(instances.flatMap(({ failures }) => failures)).toEqual([]);
  });

  it('says that usage was not checked where a connection does not say which password it uses', async () => {
    const old = await current();
    const silent = await logIn(old.value, 'nightly-job');
    const ran = await keyturn('rotate', await world.configure());
    expect(ran.code, ran.err).toBe(0);
    const { notChecked } = JSON.parse(ran.out) as { notChecked: readonly string[] };
    expect(notChecked.join()).toMatch(/usage/);
    await expect(silent.ping()).rejects.toThrow(/closed|Socket/i);
    expect(instances.flatMap(({ failures }) => failures)).toEqual([]);
  });
});
