import { once } from 'node:events';
import { connect as connectHttp2, createSecureServer } from 'node:http2';
import { createServer, request as httpsRequest, Agent } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { connect, createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serveCertificate } from '../../src/adapters/tls.ts';
import { createAuthority } from '../servers/certificates.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

const authority = createAuthority();
const old = authority.issue('old');
const next = authority.issue('new');

let scene: Scene;
let server: Server;
let certificate: { close(): Promise<void> };
let port: number;
const cleanUps: (() => void)[] = [];

beforeEach(async () => {
  scene = await openScene(old.pem);
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
  server.close();
  await certificate.close();
  await scene[Symbol.asyncDispose]();
});

async function listen(one: TlsServer): Promise<void> {
  server = one;
  certificate = await serveCertificate(scene.secrets, secretName, one);
  one.listen(0, '127.0.0.1');
  await once(one, 'listening');
  port = (one.address() as AddressInfo).port;
}

async function fingerprintNow(): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1', ca: authority.cert });
  await once(socket, 'secureConnect');
  const fingerprint = socket.getPeerX509Certificate()?.fingerprint256;
  socket.destroy();
  return fingerprint;
}

test.each([
  ['PEM', next.pem],
  ['PKCS#12', next.pkcs12],
])(
  'an https server changes under load: no request fails, no connection of the old one is left (%s)',
  async (_form, newValue) => {
    const live = new Set<TLSSocket>();
    await listen(
      createServer((_request, response) => {
        setTimeout(() => response.end('hello'), 2);
      }),
    );
    const agent = new Agent({ keepAlive: true, ca: authority.cert });
    cleanUps.push(() => agent.destroy());
    const request = () =>
      new Promise<void>((resolve, reject) => {
        httpsRequest({ port, host: '127.0.0.1', agent }, (response) => {
          live.add(response.socket as TLSSocket);
          response.socket.once('close', () => live.delete(response.socket as TLSSocket));
          response.resume().on('end', resolve).on('error', reject);
        })
          .on('error', reject)
          .end();
      });
    await expectUneventfulRotation(scene, {
      request,
      newValue,
      connectionsOfOld: () =>
        Promise.resolve(
          [...live].filter((socket) => socket.getPeerX509Certificate()?.fingerprint256 === old.fingerprint)
            .length,
        ),
      revokeOld: () => Promise.resolve(), // clients decide what they trust
      oldIsRefused: async () => (await fingerprintNow()) !== old.fingerprint,
    });
    expect(await fingerprintNow()).toBe(next.fingerprint);
  },
);

test('an HTTP/2 session of the old certificate is let go once its streams are through', async () => {
  await listen(
    createSecureServer({}, (_request, response) => void setTimeout(() => response.end('hello'), 100)),
  );
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.cert });
  cleanUps.push(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  await once(session, 'connect');
  scene.publish('v2', next.pem);
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += String(chunk);
  expect(text).toBe('hello');
  await scene.reported({ version: 'v2', held: [] });
  expect(session.closed).toBe(true);
  expect(await fingerprintNow()).toBe(next.fingerprint);
});

test('a plain connection holds the old version until it ends', async () => {
  await listen(createTlsServer((socket) => void socket.on('error', () => {}).pipe(socket)));
  const socket = connect({ port, host: '127.0.0.1', ca: authority.cert });
  await once(socket, 'secureConnect');
  scene.publish('v2', next.pem);
  await scene.reported({ version: 'v2', held: ['v1'] });
  socket.write('still here');
  expect(String(await once(socket, 'data'))).toBe('still here');
  socket.end();
  await scene.reported({ version: 'v2', held: [] });
});

test('a plain connection is cut off after a time, if that is asked for', async () => {
  server = createTlsServer((socket) => void socket.on('error', () => {}).pipe(socket));
  certificate = await serveCertificate(scene.secrets, secretName, server as TlsServer, { endAfterMs: 50 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  const socket = connect({ port, host: '127.0.0.1', ca: authority.cert });
  await once(socket, 'secureConnect');
  scene.publish('v2', next.pem);
  await once(socket.resume(), 'close');
  await scene.reported({ version: 'v2', held: [] });
  expect(await fingerprintNow()).toBe(next.fingerprint);
});

test.each([
  ['is no certificate', 'just-a-password'],
  [
    'has the key of another',
    old.pem.split('-----BEGIN CERT')[0] + next.pem.slice(next.pem.indexOf('-----BEGIN CERT')),
  ],
])('a new one that %s keeps the old one', async (_what, value) => {
  await listen(createServer((_request, response) => response.end()));
  scene.publish('v2', value);
  await soon(() => expect(scene.vault.reads.length).toBeGreaterThan(1));
  expect(await fingerprintNow()).toBe(old.fingerprint);
  scene.publish('v3', next.pem);
  await scene.reported({ version: 'v3', held: [] });
  expect(await fingerprintNow()).toBe(next.fingerprint);
});
