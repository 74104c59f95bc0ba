import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SecretValue } from '@keyturn/source';
import { sourceContract, type SourceUnderTest } from '@keyturn/source/contract';
import { postgres } from '@keyturn/sources/postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from 'vitest';
import { logIn, openWorld, passwordIn, startServer, stateOf, type Server } from './postgres-world.ts';

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

for (const format of ['url', 'json'] as const) {
  const open = async (): Promise<SourceUnderTest> => {
    const world = await openWorld(server, { format });
    const { source, options, currentValue, close } = world;
    return {
      source,
      currentValue,
      login: logIn,
      secretsIn: (value) => {
        try {
          return [value.reveal(), passwordIn(value)];
        } catch {
          return [value.reveal()];
        }
      },
      async unreachable(value) {
        const port = await closedPort();
        const admin = async () => ({ ...(await options.admin()), port });
        const elsewhere = value.reveal().replaceAll(String(server.port), String(port));
        return { source: postgres({ ...options, admin }), value: new SecretValue(elsewhere) };
      },
      state: () => stateOf(world),
      close,
    };
  };
  sourceContract(`postgres (${format})`, open, { describe, it, beforeEach, afterEach });
}

async function closedPort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, 'close');
  return port;
}
