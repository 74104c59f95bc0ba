import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { follow, type Told } from '../follow.ts';
import type { Secrets } from '../secrets.ts';
import { SecretsError } from '../secrets-error.ts';
import { keyAndCertificate, type KeyAndCertificate } from './pem.ts';

export interface CertificateOptions {
  /**
   * After so long, connections that were made with an older certificate are cut off, milliseconds. Default: never,
   * they end by themselves, and hold the old version until then.
   */
  readonly endAfterMs?: number;
  /** A new certificate could not be taken; the old one stays, and it is tried again. */
  readonly failed?: (error: Error) => void;
}

/** One version's certificate, with the connections that were made with it. */
interface Served {
  readonly material: KeyAndCertificate;
  readonly told: Told;
  readonly version: string;
  readonly sockets: Set<TLSSocket>;
  readonly sessions: Set<ServerHttp2Session>;
  emptied: () => void;
}

/**
 * Has a server of node:https, node:http2 or node:tls serve the newest certificate: new handshakes get it at once.
 * Connections that were made with the old one are let go without a failed request: HTTP/1 answers its next request
 * with `Connection: close` (idle ones end by the server's `keepAliveTimeout`), HTTP/2 says goodbye, and others last
 * until they end or `endAfterMs` is over. The value is a PEM text with private key and chain, or a PKCS#12 in base64, as
 * Key Vault gives certificates out. Resolves when the first certificate is served; `close` after the server.
 *
 * @example
 * const server = createServer(app); // of node:https
 * const certificate = await serveCertificate(secrets, 'orders-cert', server);
 * server.listen(443);
 */
export async function serveCertificate<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  server: Server,
  { endAfterMs, failed }: CertificateOptions = {},
): Promise<{ close(): Promise<void> }> {
  const servedBy = new WeakMap<object, Served>();
  const open = new Set<ServerResponse>();
  let newest: Served | undefined;
  let isClosing = false;

  const certificates = follow<Served, Name>(secrets, name, {
    open: (secret, told) => ({
      material: keyAndCertificate(secret),
      told,
      version: secret.version,
      sockets: new Set(),
      sessions: new Set(),
      emptied() {},
    }),
    async prove(served, signal) {
      await handshake(served, name);
      signal.throwIfAborted();
      server.setSecureContext(served.material);
      newest = served;
      for (const response of open) endAfter(response);
    },
    async close(old) {
      if (isClosing || old.sockets.size === 0) return;
      for (const session of old.sessions) session.close();
      const cutOff = () => old.sockets.forEach((socket) => socket.destroy());
      const timer = endAfterMs === undefined ? undefined : setTimeout(cutOff, endAfterMs).unref();
      await new Promise<void>((resolve) => (old.emptied = resolve));
      clearTimeout(timer);
    },
    failed,
  });

  const connected = (socket: TLSSocket): void => {
    const served = newest;
    if (!served) return;
    servedBy.set(socket, served);
    served.sockets.add(socket);
    served.told.authenticated();
    socket.once('close', () => {
      served.sockets.delete(socket);
      if (served.sockets.size === 0) served.emptied();
    });
  };
  /** Has the connection end with this answer, if it is of an older certificate. */
  const endAfter = (response: ServerResponse): void => {
    const isOld = servedBy.get(response.req.socket) !== newest;
    if (isOld && !response.headersSent) response.setHeader('Connection', 'close');
  };
  const requested = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.httpVersionMajor > 1) return;
    open.add(response);
    response.once('close', () => open.delete(response));
    endAfter(response);
  };
  const sessionBegun = (session: ServerHttp2Session): void => {
    const served = newest;
    served?.sessions.add(session);
    session.once('close', () => served?.sessions.delete(session));
  };

  const events = server as HttpsServer; // an event that a server doesn't have never comes
  events.on('secureConnection', connected);
  events.prependListener('request', requested);
  events.on('session', sessionBegun);
  await certificates.use(() => {});
  return {
    close() {
      isClosing = true;
      events.off('secureConnection', connected).off('request', requested).off('session', sessionBegun);
      return certificates.close();
    },
  };
}

/** Serves it once, to ourselves: only a handshake shows that key and chain belong together, and that it is valid now. */
async function handshake({ material, version }: Served, name: string): Promise<void> {
  const server = createServer(material, (socket) => socket.end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    const { validTo } = socket.getPeerX509Certificate() ?? { validTo: '' };
    if (Date.parse(validTo) > Date.now()) return;
    throw new SecretsError(
      'VALUE_FORMAT',
      `The certificate ${name}@${version.slice(0, 4)}… ended on ${validTo}.`,
    );
  } finally {
    socket.destroy();
    server.close();
  }
}
