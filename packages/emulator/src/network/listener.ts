import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { EmulatorError } from '../emulator-error.ts';

/** A server that accepts connections. */
export interface Listener {
  readonly port: number;
  /** Cuts every connection and frees the port. */
  close(): Promise<void>;
}

/** Opens a server on the loopback interface only: nobody else may reach the secrets. Port 0 takes a free one. */
export async function listen(server: Server, port: number): Promise<Listener> {
  // Raw connections, because a server of Node forgets those that became tunnels.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (cause) {
    throw new EmulatorError(
      'LISTEN_FAILED',
      `Port ${port} on 127.0.0.1 could not be opened (${(cause as NodeJS.ErrnoException).code}). Choose another one, or 0 for a free one.`,
      { cause },
    );
  }
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
