import type { Source } from '@keyturn/source';
import { usableUser } from './redis/acl-user.ts';
import { asRotator } from './redis/connection.ts';
import { inspect } from './redis/inspect.ts';
import { issue } from './redis/issue.ts';
import { checkOptions, type RedisOptions } from './redis/options.ts';
import { prove } from './redis/prove.ts';
import { revoke } from './redis/revoke.ts';
import { usage } from './redis/usage.ts';

export type { RedisOptions, RedisTemplate } from './redis/options.ts';
export { setupCommand } from './redis/setup.ts';

/**
 * A Redis server (6 or newer) whose application logs in as one ACL user, which holds two passwords during an overlap
 * window. A credential's ref is the user's name with a fingerprint of the password: `orders#3f9a02c41d7e`. Connections
 * whose name ends in `@` and that fingerprint are told apart; the adapters of `@keyturn/client` name them so.
 *
 * Throws a `SourceError` with code `MISCONFIGURED` at once if the user can't be rotated. The rights that Keyturn's own
 * login needs are in `setupCommand`; one that it lacks is a `FORBIDDEN` whose hint is the command that gives it.
 *
 * @example
 * const source = redis({
 *   user: 'orders',
 *   admin: async () => ({ url: await readFromVault('orders-redis-rotator') }),
 *   template: { host: 'redis.internal', port: 6380, tls: true },
 *   format: 'url',
 * });
 * const { ref, value } = await source.issue('orders-redis@1f3c', 'orders#3f9a02c41d7e');
 * await source.prove(value);
 */
export function redis(options: RedisOptions): Source {
  checkOptions(options);
  return {
    kind: 'redis',
    issue: (rotation, current) =>
      asRotator(options, (connection) => issue(connection, options, { rotation, current })),
    prove: (value) => prove(options, value),
    usage: (ref) => asRotator(options, (connection) => usage(connection, options, ref)),
    revoke: (ref) => asRotator(options, (connection) => revoke(connection, options, ref)),
    list: () =>
      asRotator(options, async (connection) =>
        (await usableUser(connection, options.user)).credentials.map(({ ref }) => ref),
      ),
    inspect: (about) => asRotator(options, (connection) => inspect(connection, options, about)),
  };
}
