import {
  connections,
  fingerprintOf,
  logIn,
  secretName,
  sha256,
  user,
  type RedisSource,
} from '../redis-source.ts';
import type { SourceUnderTest } from './source-under-test.ts';

export function redisUnderTest(redis: RedisSource): SourceUnderTest {
  return {
    secret: secretName,
    async logIn(value) {
      try {
        const client = await logIn(value, 'invariants');
        client.destroy();
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    },
    isRefusal: (answer) => answer?.startsWith('WRONGPASS') === true,
    async sessions(value) {
      const mark = `@${fingerprintOf(sha256(new URL(value).password))}`;
      return (await connections(redis)).filter(({ name }) => name.endsWith(mark)).length;
    },
    async live() {
      const { passwords } = (await redis.run('ACL', 'GETUSER', user)) as { passwords: readonly string[] };
      return passwords.map((hash) => `${user}#${fingerprintOf(hash)}`);
    },
    /** Redis counts a refusal like an earlier one with that, so the log begins anew. */
    async logLength() {
      await redis.run('ACL', 'LOG', 'RESET');
      return 0;
    },
    async wasRefused(value) {
      const log = (await redis.run('ACL', 'LOG')) as readonly { reason: string; username: string }[];
      const { username } = new URL(value);
      return log.some((entry) => entry.reason === 'auth' && entry.username === username);
    },
  };
}
