import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { fetch, request, type Dispatcher } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCertificateDispatcher, createTokenDispatcher } from '../../src/adapters/undici.ts';
import { createAuthority } from '../servers/certificates.ts';
import { expectUneventfulRotation, openScene, secretName, soon, type Scene } from './scene.ts';

let scene: Scene;
let server: Server;
let origin: string;
let dispatcher: Dispatcher;
let accepted: Set<string>;

async function listen(one: Server): Promise<string> {
  one.listen(0, '127.0.0.1');
  await once(one, 'listening');
  return `127.0.0.1:${(one.address() as AddressInfo).port}`;
}

async function textOf(message: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of message) text += String(chunk);
  return text;
}

afterEach(async () => {
  await dispatcher.close();
  await scene[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
});

describe('a bearer token', () => {
  let asked: string[];
  beforeEach(async () => {
    asked = [];
    accepted = new Set(['old-token', 'new-token']);
    server = createHttpServer((message, response) => {
      const token =
        message.headers.authorization?.replace('Bearer ', '') ?? String(message.headers['x-api-key']);
      asked.push(token);
      if (message.url === '/elsewhere') return response.writeHead(302, { location: '/' }).end();
      if (!accepted.has(token)) return response.writeHead(401, { 'www-authenticate': 'Bearer' }).end('no');
      return void textOf(message).then((body) => response.end(`hello ${body}`));
    });
    origin = `http://${await listen(server)}`;
    scene = await openScene('old-token');
    dispatcher = createTokenDispatcher(scene.secrets, secretName, { origins: [origin] });
  });

  const get = async (path = '/') => {
    const { statusCode, body } = await request(`${origin}${path}`, { dispatcher });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`${statusCode} ${text}`);
    return text;
  };

  test('changes under load: no request fails', async () => {
    await expectUneventfulRotation(scene, {
      request: () => get(),
      newValue: 'new-token',
      connectionsOfOld: () => Promise.resolve(0), // each request brings its token
      revokeOld: () => Promise.resolve(void accepted.delete('old-token')),
      oldIsRefused: async () =>
        (await request(origin, { headers: { authorization: 'Bearer old-token' } })).statusCode === 401,
    });
    expect(asked.at(-1)).toBe('new-token');
  });

  test.each([
    ['fetch', () => fetch(origin, { dispatcher }).then((answer) => answer.text())],
    [
      'request',
      () => request(origin, { method: 'PUT', body: 'tea', dispatcher }).then(({ body }) => body.text()),
    ],
  ])(
    'that is refused is read past the cache, and the request is sent once more (%s)',
    async (_with, send) => {
      expect(await send()).toMatch(/^hello/);
      accepted.delete('old-token');
      scene.vault.publish('v2', 'new-token');
      expect(await send()).toMatch(/^hello/);
      expect(asked).toEqual(['old-token', 'old-token', 'new-token']);
      await scene.reported({ version: 'v2', refused: { v1: 1 } });
    },
  );

  test('a 401 without a newer version is passed on whole', async () => {
    accepted.clear();
    await expect(get()).rejects.toThrow('401 no');
    const { headers, status } = await fetch(origin, { dispatcher });
    expect([status, headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    await scene.reported({ refused: { v1: expect.any(Number) } });
  });

  test('a stream is sent once, its 401 is passed on, and the next request knows better', async () => {
    await get();
    accepted.delete('old-token');
    scene.vault.publish('v2', 'new-token');
    const send = () => request(origin, { method: 'POST', body: Readable.from(['tea']), dispatcher });
    const answer = await send();
    expect([answer.statusCode, await answer.body.text()]).toEqual([401, 'no']);
    await scene.reported({ version: 'v2', refused: { v1: 1 } });
    expect(await (await send()).body.text()).toBe('hello tea');
  });

  test('goes to its origins only, redirects included', async () => {
    const heard: (string | undefined)[] = [];
    const other = createHttpServer((message, response) => {
      heard.push(message.headers.authorization);
      response.end('hello');
    });
    const otherOrigin = `http://${await listen(other)}`;
    await request(otherOrigin, { dispatcher }).then(({ body }) => body.dump());
    server.removeAllListeners('request');
    server.on('request', (_message, response) => response.writeHead(302, { location: otherOrigin }).end());
    await fetch(origin, { dispatcher }).then((answer) => answer.text());
    expect(heard).toEqual([undefined, undefined]);
    other.closeAllConnections();
    other.close();
  });

  test('may be an API key in a header of its own', async () => {
    const keyed = createTokenDispatcher(scene.secrets, secretName, {
      origins: [origin],
      header: 'x-api-key',
    });
    const { body } = await request(origin, { dispatcher: keyed });
    expect(await body.text()).toBe('hello ');
    expect(asked).toEqual(['old-token']);
    await keyed.close();
  });

  test.each([403, 503])('an answer of %d is passed on, and is no login', async (status) => {
    server.removeAllListeners('request');
    server.on('request', (_message, response) => response.writeHead(status).end('busy'));
    await expect(get()).rejects.toThrow(`${status} busy`);
    await scene.reported({ version: 'v1', held: [] });
    expect(scene.rotator.reports.at(-1)?.secrets[0]).not.toHaveProperty('authenticatedAt');
  });

  test("Node's own fetch is told at once that this is no dispatcher for it", async () => {
    const failure = globalThis.fetch(origin, { dispatcher } as unknown as RequestInit);
    await expect(failure).rejects.toMatchObject({ cause: { code: 'OPTIONS_INVALID' } });
  });

  test('a request that fails otherwise fails as it does without, and is no login', async () => {
    await get();
    server.closeAllConnections();
    server.close();
    await expect(get()).rejects.toThrow(/ECONNREFUSED|other side closed/);
    server = createHttpServer();
  });
});

describe('a client certificate', () => {
  const authority = createAuthority();
  const [old, next, stranger] = ['old', 'new', 'stranger'].map((name) => authority.issue(name));
  const own = authority.issue('server');
  let sockets: Set<TLSSocket>;

  beforeEach(async () => {
    sockets = new Set();
    accepted = new Set([old?.fingerprint ?? '', next?.fingerprint ?? '']);
    const tls = createHttpsServer(
      { key: own.pem, cert: own.pem, ca: authority.cert, requestCert: true, rejectUnauthorized: true },
      (_message, response) => response.end('hello'),
    );
    tls.on('secureConnection', (socket: TLSSocket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket)).on('error', () => {});
      if (!accepted.has(socket.getPeerX509Certificate()?.fingerprint256 ?? '')) socket.destroy();
    });
    server = tls;
    origin = `https://${await listen(server)}`;
    scene = await openScene(old?.pem ?? '');
    dispatcher = createCertificateDispatcher(scene.secrets, secretName, {
      proveAt: origin,
      connect: { ca: authority.cert },
    });
  });

  const get = async () => {
    const { statusCode, body } = await request(origin, { dispatcher });
    await body.dump();
    if (statusCode !== 200) throw new Error(String(statusCode));
  };
  const connectionsOf = (fingerprint = '') =>
    [...sockets].filter((socket) => socket.getPeerX509Certificate()?.fingerprint256 === fingerprint).length;

  test.each([
    ['PEM', next?.pem ?? ''],
    ['PKCS#12', next?.pkcs12 ?? ''],
  ])(
    'changes under load: no request fails, no connection with the old one is left (%s)',
    async (_form, newValue) => {
      await expectUneventfulRotation(scene, {
        request: get,
        newValue,
        connectionsOfOld: () => Promise.resolve(connectionsOf(old?.fingerprint)),
        revokeOld: () => Promise.resolve(void accepted.delete(old?.fingerprint ?? '')),
        async oldIsRefused() {
          const apart = createCertificateDispatcher((await openScene(old?.pem ?? '')).secrets, secretName, {
            proveAt: origin,
            connect: { ca: authority.cert },
          });
          return request(origin, { dispatcher: apart }).then(
            () => false,
            () => true,
          );
        },
      });
      expect(connectionsOf(next?.fingerprint)).toBeGreaterThan(0);
    },
  );

  test("Node's own fetch is told at once that this is no dispatcher for it", async () => {
    const failure = globalThis.fetch(origin, { dispatcher } as unknown as RequestInit);
    await expect(failure).rejects.toMatchObject({ cause: { code: 'OPTIONS_INVALID' } });
  });

  test.each([
    ['is not taken', () => stranger?.pem ?? ''],
    ['is no certificate', () => 'just-a-password'],
    [
      'has the key of another',
      () => `${old?.pem.split('-----BEGIN CERT')[0]}${next?.pem.slice(next.pem.indexOf('-----BEGIN CERT'))}`,
    ],
  ])('a new one that %s keeps the old one', async (_what, value) => {
    await get();
    scene.publish('v2', value());
    await soon(() => expect(scene.vault.reads.length).toBeGreaterThan(1));
    await get();
    expect(connectionsOf(old?.fingerprint)).toBeGreaterThan(0);
    scene.publish('v3', next?.pem ?? '');
    await scene.reported({ version: 'v3', held: [] });
    await get();
    await soon(() => expect(connectionsOf(old?.fingerprint)).toBe(0));
  });
});
