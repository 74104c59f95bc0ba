import { SecretValue } from '@keyturn/source';
import { sourceContract, type SourceUnderTest } from '@keyturn/source/contract';
import { redis } from '@keyturn/sources/redis';
import { freePort } from '@keyturn/rotator/free-port';
import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from 'vitest';
import { aclFileOf, hasRedis, startRedis, type RedisServer } from './redis-server.ts';
import { logIn, openWorld, passwordIn, usersOf } from './redis-world.ts';

describe.skipIf(!hasRedis)('with a real Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.stop());

  for (const format of ['url', 'json', 'password'] as const) {
    const open = async (): Promise<SourceUnderTest> => {
      const world = await openWorld(server, { format });
      const { source, options, currentValue, close } = world;
      return {
        source,
        currentValue,
        login: (value) => logIn(world, value),
        secretsIn: (value) => {
          try {
            return [value.reveal(), passwordIn(value)];
          } catch {
            return [value.reveal()];
          }
        },
        async unreachable(value) {
          const port = await freePort();
          const elsewhere = (text: string) => text.replaceAll(String(server.port), String(port));
          const admin = async () => ({ url: elsewhere((await options.admin()).url) });
          const template = { ...options.template, port };
          return {
            source: redis({ ...options, admin, template }),
            value: new SecretValue(elsewhere(value.reveal())),
          };
        },
        state: async () => [await usersOf(world), await aclFileOf(server)],
        close,
      };
    };
    sourceContract(`redis (${format})`, open, { describe, it, beforeEach, afterEach });
  }
});
