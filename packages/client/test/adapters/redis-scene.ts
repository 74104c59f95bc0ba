import { expect } from 'vitest';
import type { RedisServer } from '../servers/redis.ts';
import { expectUneventfulRotation, type Scene } from './scene.ts';

/** Two users, `a` and `b`, and one more with two passwords, `app`. */
export async function setUsers({ admin }: RedisServer): Promise<void> {
  await admin.acl('SETUSER', 'a', 'reset', 'on', '>old-pw', '~*', '&*', '+@all');
  await admin.acl('SETUSER', 'b', 'reset', 'on', '>new-pw', '~*', '&*', '+@all');
  await admin.acl('SETUSER', 'app', 'reset', 'on', '>old-pw', '>new-pw', '~*', '&*', '+@all');
}

export async function isRefused({ admin }: RedisServer, user: string, password: string): Promise<boolean> {
  const apart = admin.duplicate({ retryStrategy: () => null, lazyConnect: true });
  try {
    await apart.connect();
    await apart.auth(user, password);
    return false;
  } catch (error) {
    expect(String(error)).toContain('WRONGPASS');
    return true;
  } finally {
    apart.disconnect();
  }
}

export const usersOf = async (server: RedisServer): Promise<string[]> =>
  (await server.clients()).map(({ user }) => user ?? '').filter((user) => user !== 'default');

/** From user `a` to user `b`, while `request` goes on. */
export async function expectRotationOfUsers(
  scene: Scene,
  server: RedisServer,
  request: () => Promise<unknown>,
): Promise<void> {
  await expectUneventfulRotation(scene, {
    request,
    newValue: JSON.stringify({ username: 'b', password: 'new-pw' }),
    connectionsOfOld: async () => (await usersOf(server)).filter((user) => user === 'a').length,
    revokeOld: async () => void (await server.admin.acl('SETUSER', 'a', '<old-pw')),
    oldIsRefused: () => isRefused(server, 'a', 'old-pw'),
  });
}
