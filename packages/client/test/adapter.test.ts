import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { expectUneventfulRotation, openScene, secretName } from './adapters/scene.ts';
import { openApi } from './examples/http-basic.ts';

async function startServer() {
  const accepted = new Set(['a:old-pw', 'b:new-pw']);
  const userOf = new Map<Socket, string>();
  const server = createServer((message, response) => {
    const login = atob(message.headers.authorization?.replace('Basic ', '') ?? '');
    userOf.set(message.socket, login);
    message.socket.once('close', () => userOf.delete(message.socket));
    response.writeHead(accepted.has(login) ? 200 : 401).end(login.split(':')[0]);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accepted,
    connectionsOf: (login: string) => [...userOf.values()].filter((one) => one === login).length,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

test("the README's adapter rotates under load without a failed request", async () => {
  using server = await startServer();
  await using scene = await openScene('a:old-pw');
  const api = openApi(scene.secrets, secretName, server.origin);
  await expectUneventfulRotation(scene, {
    request: () => api.use((login) => login.get('/')),
    newValue: 'b:new-pw',
    connectionsOfOld: () => Promise.resolve(server.connectionsOf('a:old-pw')),
    revokeOld: () => Promise.resolve(void server.accepted.delete('a:old-pw')),
    async oldIsRefused() {
      const headers = { authorization: `Basic ${btoa('a:old-pw')}` };
      return (await fetch(server.origin, { headers })).status === 401;
    },
  });
  expect(await api.use((login) => login.get('/'))).toBe('b');
  await api.close();
});

test('the README’s adapter keeps the old login while the new one is refused, and says so', async () => {
  const warn = vi.spyOn(console, 'warn').mockReturnValue();
  using server = await startServer();
  await using scene = await openScene('a:old-pw');
  const api = openApi(scene.secrets, secretName, server.origin);
  expect(await api.use((login) => login.get('/'))).toBe('a');
  scene.publish('v2', 'b:not-the-password');
  await scene.reported({ version: 'v1', refused: { v2: expect.any(Number) } });
  expect(await api.use((login) => login.get('/'))).toBe('a');
  expect(warn).toHaveBeenCalledWith('HTTP 401');
  await api.close();
  warn.mockRestore();
});

test('the README shows the adapter that is tested here', async () => {
  const adapter = await readFile(new URL('examples/http-basic.ts', import.meta.url), 'utf8');
  const shown = adapter.replace('../../src/index.ts', '@keyturn/client').trim();
  expect(await readFile(new URL('../README.md', import.meta.url), 'utf8')).toContain(shown);
});
