import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { redis } from '@keyturn/sources/redis';
import type { Source } from '@keyturn/source';
import type { World } from './redis-world.ts';

/** A source between which and its server the connection breaks at one command. */
export interface Breaking {
  readonly source: Source;
  /** How many commands came this way. */
  readonly commands: () => number;
  readonly close: () => Promise<void>;
}

/**
 * Breaks at the n-th command, counted from 1: before the server has seen it, or when the server has done it and the
 * answer is on its way. That is what is left behind by a process that is killed there.
 */
export async function breakingAt(
  { options, server }: World,
  at: { readonly command: number; readonly when: 'before' | 'after' },
): Promise<Breaking> {
  let commands = 0;
  const proxy = createServer((near: Socket) => {
    const far = connect(server.port, '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => undefined);
    const end = () => {
      near.destroy();
      far.end();
    };
    // The source awaits each answer, so a piece is a command.
    near.on('data', (piece) => {
      commands += 1;
      if (commands === at.command && at.when === 'before') end();
      else far.write(piece);
    });
    far.on('data', (piece) => {
      if (commands === at.command && at.when === 'after') end();
      else near.write(piece);
    });
    near.on('close', () => far.end());
    far.on('close', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  const admin = async () => ({
    url: (await options.admin()).url.replace(`:${server.port}`, `:${port}`),
  });
  return {
    source: redis({ ...options, admin }),
    commands: () => commands,
    async close() {
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
