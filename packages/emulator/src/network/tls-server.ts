import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { getRequestListener, type Http2Bindings, type HttpBindings } from '@hono/node-server';
import type { Certified } from './certificates.ts';

const quietMs = 60_000;

/** The TLS side of everything that has an https name. `onDistrust` is called when a client leaves as one does that doesn't know the CA. */
export function createTlsServer(options: {
  readonly fetch: (request: Request, env: HttpBindings | Http2Bindings) => Response | Promise<Response>;
  readonly certificate: Certified;
  readonly onDistrust: () => void;
}): Server {
  // The Request and Response of the host process are not ours to replace.
  const listener = getRequestListener(options.fetch, { overrideGlobalObjects: false });
  const server = createServer(
    { cert: options.certificate.certificate, key: options.certificate.privateKey },
    (request, response) => void listener(request, response),
  );

  // A client without trust sends an alert (curl, Python) or just hangs up: Node in the middle of the handshake,
  // others after it and before a request. One that hangs up before it has named a server only looked for an
  // open port.
  const silent = new WeakSet<TLSSocket>();
  let saidAt = -quietMs;
  const distrust = (): void => {
    if (!server.listening || performance.now() - saidAt < quietMs) return;
    saidAt = performance.now();
    options.onDistrust();
  };
  server.on('secureConnection', (socket) => {
    silent.add(socket);
    socket.once('close', () => {
      if (silent.has(socket)) distrust();
    });
  });
  server.on('request', (request) => silent.delete(request.socket as TLSSocket));
  server.on('tlsClientError', (error, socket) => {
    const alert = /unknown.ca|certificate/i.test(error.message);
    const named = 'servername' in socket && typeof socket.servername === 'string';
    if (alert || ('code' in error && error.code === 'ECONNRESET' && named)) distrust();
  });
  return server;
}
