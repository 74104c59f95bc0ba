import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { RotatorError } from '../rotator-error.ts';

export interface Listening {
  /** `http://127.0.0.1:7420` */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves an application on `host:port`; port 0 takes a free one. */
export async function listen(app: Hono, address: { host: string; port: number }): Promise<Listening> {
  const { host, port } = address;
  const handle = getRequestListener(app.fetch);
  const server = createServer((request, response) => void handle(request, response));
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    throw new RotatorError(
      'LISTEN',
      `Can't listen on ${host}:${port} (${(cause as NodeJS.ErrnoException).code}).`,
      {
        cause,
        hint: 'Choose another address in `fleet.listen`: one of this machine, with a port up to 65535 that no other program uses.',
      },
    );
  }
  return { url: `http://${host}:${(server.address() as AddressInfo).port}`, close: () => close(server) };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections(); // announcement streams never end by themselves
  await closed;
}
