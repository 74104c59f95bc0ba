import { once } from 'node:events';
import { rename } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SecretValue, type SourceFinding } from '@keyturn/source';
import { redis, setupCommand } from '@keyturn/sources/redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aclFileOf, hasRedis, startRedis, type Keeps, type RedisServer } from './redis-server.ts';
import { logIn, nameFor, newPassword, openWorld, passwordIn, usersOf, type World } from './redis-world.ts';

let server: RedisServer;
let world: World;

async function theOnlyRef({ source }: World): Promise<string> {
  const [ref = '', ...others] = await source.list();
  expect(others).toEqual([]);
  return ref;
}

async function found(
  about: SourceFinding['about'],
  { source }: World = world,
  current?: string,
): Promise<readonly SourceFinding[]> {
  const inspection = await source.inspect?.({ current, rotations: [] });
  return (inspection?.findings ?? []).filter((one) => one.about === about);
}

describe.skipIf(!hasRedis)('Redis', () => {
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    world = await openWorld(server);
  });
  afterEach(() => world.close());

  describe('issue', () => {
    it('never sends a password, nor does the server keep one', async () => {
      const current = await theOnlyRef(world);
      await server.commandsSeen();
      const { value } = await world.source.issue('orders@1', current);
      await world.source.revoke(current);
      const seen = await server.commandsSeen();
      expect(seen).toContain('SETUSER');
      for (const place of [seen, JSON.stringify(await usersOf(world)), await aclFileOf(server)])
        expect(place.includes(passwordIn(value))).toBe(false);
    });

    it('names a credential as the client names its connections', async () => {
      await server.run('ACL', 'SETUSER', world.user, 'resetpass', '>old-pw');
      expect(await theOnlyRef(world)).toBe(`${world.user}#9d89a66bd9dd`);
    });

    it('takes the place of what an earlier rotation left, and leaves alone what people have set', async () => {
      const current = await theOnlyRef(world);
      const left = await world.source.issue('orders@1', current);
      const byHand = newPassword();
      await server.run('ACL', 'SETUSER', world.user, `>${byHand}`);
      const { ref } = await world.source.issue('orders@2', current);
      const refs = await world.source.list();
      expect(refs).toHaveLength(3);
      expect(refs).toEqual(expect.arrayContaining([current, ref]));
      expect(refs).not.toContain(left.ref);
      expect(await found('parity', world, current)).toContainEqual(
        expect.objectContaining({
          mark: 'warn',
          says: expect.stringContaining('did not issue and leaves alone'),
        }),
      );
    });

    it('is AMBIGUOUS where the user does not have the password that is said to be in use', async () => {
      const before = await usersOf(world);
      const error = { code: 'AMBIGUOUS', message: expect.stringContaining(world.user) as string };
      await expect(world.source.issue('orders@1', `${world.user}#0123456789ab`)).rejects.toMatchObject(error);
      expect(await usersOf(world)).toEqual(before);
    });

    it.each([
      ['takes any password', 'nopass', 'has the flag nopass'],
      ['is off', 'off', 'is off'],
    ])('refuses a user that %s, and changes nothing', async (_what, flag, says) => {
      const current = await theOnlyRef(world);
      await server.run('ACL', 'SETUSER', world.user, flag);
      const before = await usersOf(world);
      const error = { code: 'MISCONFIGURED', message: expect.stringContaining(says) as string };
      await expect(world.source.issue('orders@1', current)).rejects.toMatchObject(error);
      await expect(world.source.list()).rejects.toMatchObject(error);
      expect(await found('parity')).toMatchObject([{ mark: 'stop', says: error.message }]);
      expect(await usersOf(world)).toEqual(before);
    });

    it('refuses a replica, whose ACL users are its own', async () => {
      const current = await theOnlyRef(world);
      await server.run('REPLICAOF', '127.0.0.1', '1');
      try {
        await expect(world.source.issue('orders@1', current)).rejects.toMatchObject({
          code: 'MISCONFIGURED',
          message: expect.stringContaining('a replica') as string,
        });
      } finally {
        await server.run('REPLICAOF', 'NO', 'ONE');
      }
    });

    it('refuses at once what can not be rotated', async () => {
      const { options, user } = world;
      expect(() => redis({ ...options, user: 'default' })).toThrow(/user "default"/);
      expect(() => redis({ ...options, user: 'two words' })).toThrow(/can't be the name/);
      const self = async () => ({ url: `redis://${user}:x@127.0.0.1:${server.port}` });
      await expect(redis({ ...options, admin: self }).list()).rejects.toMatchObject({
        code: 'MISCONFIGURED',
        message: expect.stringContaining('which it is to rotate') as string,
      });
      const secret = 'rotators-password-without-a-url';
      const noUrl = redis({ ...options, admin: async () => ({ url: secret }) }).list();
      const error = (await noUrl.catch((thrown: unknown) => thrown)) as Error;
      expect(error).toMatchObject({ code: 'MISCONFIGURED' });
      expect(error.message).not.toContain(secret);
    });
  });

  describe('usage', () => {
    it('is unknown while somebody does not say which password it uses, and nobody says that it is this one', async () => {
      const current = await theOnlyRef(world);
      for (const name of ['', 'orders-api', 'container@0123456789ab']) {
        const silent = await logIn(world, world.currentValue, name);
        expect(await world.source.usage(current), name).toBe('unknown');
        const named = await logIn(world, world.currentValue);
        expect(await world.source.usage(current), name).toMatchObject({ sessions: [{}] });
        await silent.close();
        await named.close();
      }
      expect(await world.source.usage(current)).toEqual({ sessions: [] });
    });

    it('waits for a client that names itself after it has logged in', async () => {
      const current = await theOnlyRef(world);
      const session = await logIn(world, world.currentValue, 'not-yet');
      const looking = world.source.usage(current);
      await sleep(25);
      await session.run('CLIENT', 'SETNAME', nameFor(passwordIn(world.currentValue), 'orders-api'));
      expect(await looking).toMatchObject({
        sessions: [{ client: expect.stringMatching(/^orders-api 127\.0\.0\.1:\d+$/) }],
      });
      await session.close();
    });

    it('does not count the login that proves a value', async () => {
      const current = await theOnlyRef(world);
      const session = await logIn(world, world.currentValue, 'keyturn-prove');
      expect(await world.source.usage(current)).toEqual({ sessions: [] });
      await session.close();
    });
  });

  describe('revoke', () => {
    it('ends those that do not say which password they use, and none that says another', async () => {
      const current = await theOnlyRef(world);
      const { value } = await world.source.issue('orders@1', current);
      const silent = await logIn(world, world.currentValue, '');
      const fresh = await logIn(world, value);
      expect(await found('revocation', world, current)).toContainEqual(
        expect.objectContaining({
          mark: 'warn',
          says: expect.stringMatching(/^1 connections .* all of them are ended$/),
        }),
      );
      await world.source.revoke(current);
      expect(await silent.works()).toBe(false);
      expect(await fresh.works()).toBe(true);
      const later = await logIn(world, value, '');
      await world.source.revoke(current);
      expect(await later.works(), 'a late revoke ended a session of another password').toBe(true);
      await fresh.close();
      await later.close();
    });
  });

  describe('prove', () => {
    it('is content with a login that may do nothing', async () => {
      await server.run('ACL', 'SETUSER', world.user, '-@all');
      await expect(world.source.prove(world.currentValue)).resolves.toBeUndefined();
    });

    it('reads what the client reads: a password, a URL or JSON, with what is left out from the configuration', async () => {
      const password = passwordIn(world.currentValue);
      const { port } = server;
      for (const text of [
        password,
        `redis://:${password}@127.0.0.1:${port}/3`,
        JSON.stringify({ password }),
        JSON.stringify({ user: world.user, password, port: String(port) }),
      ])
        await world.source.prove(new SecretValue(text));
      const broken = world.source.prove(new SecretValue('{"password"'));
      await expect(broken).rejects.toMatchObject({ code: 'MISCONFIGURED' });
    });

    it('is UNREACHABLE with a server that takes the connection and does not answer', async () => {
      const silent = createServer(() => undefined).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const { port } = silent.address() as AddressInfo;
      const source = redis({
        ...world.options,
        format: 'password',
        template: { host: '127.0.0.1', port },
        connectTimeoutMs: 100,
      });
      await expect(source.prove(new SecretValue('secret'))).rejects.toMatchObject({ code: 'UNREACHABLE' });
      silent.close();
    });
  });

  describe('rights', () => {
    const rights = setupCommand('keyturn')
      .split(' ')
      .filter((word) => word.startsWith('+') && word !== '+acl|dryrun');

    it.each(rights)('a login without %s is FORBIDDEN before anything is changed', async (right) => {
      const { source, rotator } = world;
      const current = await theOnlyRef(world);
      await server.run('ACL', 'SETUSER', rotator, right.replace('+', '-'));
      const before = await usersOf(world);
      const hint = `ACL SETUSER ${rotator} ${right}`;
      await expect(source.issue('orders@1', current)).rejects.toMatchObject({ code: 'FORBIDDEN', hint });
      expect(await found('rights')).toMatchObject([{ mark: 'stop', hint }]);
      expect(await usersOf(world)).toEqual(before);
      await server.run(...hint.split(' '));
      await source.issue('orders@1', current);
    });

    it('that can not be seen ahead are named when they are met', async () => {
      const { source, rotator } = world;
      const current = await theOnlyRef(world);
      await server.run('ACL', 'SETUSER', rotator, '-acl|dryrun', '-acl|save');
      expect(await found('rights')).toMatchObject([{ mark: 'warn' }]);
      const hint = `ACL SETUSER ${rotator} +acl|save`;
      await expect(source.issue('orders@1', current)).rejects.toMatchObject({ code: 'FORBIDDEN', hint });
      await source.prove(world.currentValue);
    });
  });
});

describe.skipIf(!hasRedis)('a restart of Redis', () => {
  let own: RedisServer;
  async function start(keeps: Keeps): Promise<World> {
    own = await startRedis(keeps);
    return openWorld(own);
  }
  afterEach(() => own.stop());

  it.each(['aclfile', 'config file'] as const)(
    'brings back nothing that was revoked, and all that was issued, with an %s',
    async (keeps) => {
      const { source, currentValue, ...rest } = await start(keeps);
      // What the test itself has set is written down by the first issue, too.
      const current = await theOnlyRef({ source, currentValue, ...rest });
      const { ref, value } = await source.issue('orders@1', current);
      await own.crash();
      await source.prove(value);
      await source.prove(currentValue);
      expect((await source.inspect?.({ current, rotations: ['orders@1'] }))?.issued).toEqual([
        { ref, rotation: 'orders@1' },
      ]);
      await source.revoke(current);
      await own.crash();
      await source.prove(value);
      await expect(source.prove(currentValue)).rejects.toMatchObject({ code: 'REFUSED' });
    },
  );

  it('is warned of where the server keeps nothing', async () => {
    const one = await start('nothing');
    await one.source.issue('orders@1', await theOnlyRef(one));
    const [ref] = await one.source.list();
    expect(await found('revocation', one, ref)).toContainEqual(
      expect.objectContaining({
        mark: 'warn',
        says: expect.stringContaining('changes are lost on restart'),
      }),
    );
  });

  it('that would undo a step fails the step, and the step succeeds once the server can write again', async () => {
    const one = await start('aclfile');
    const current = await theOnlyRef(one);
    const { value } = await one.source.issue('orders@1', current);
    await rename(own.folder, `${own.folder}-away`);
    const failure = { code: 'UNEXPECTED', message: expect.stringContaining('did not keep') as string };
    await expect(one.source.revoke(current)).rejects.toMatchObject(failure);
    await expect(one.source.revoke(current)).rejects.toMatchObject(failure);
    await rename(`${own.folder}-away`, own.folder);
    await one.source.revoke(current);
    await own.crash();
    await one.source.prove(value);
    await expect(one.source.prove(one.currentValue)).rejects.toMatchObject({ code: 'REFUSED' });
  });

  it('that does not end is UNREACHABLE, never a refusal', async () => {
    const one = await start('aclfile');
    const current = await theOnlyRef(one);
    await own.crash('stay away');
    const calls = [one.source.prove(one.currentValue), one.source.usage(current), one.source.revoke(current)];
    for (const call of await Promise.allSettled(calls))
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'UNREACHABLE' } });
  });
});
