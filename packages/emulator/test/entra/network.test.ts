import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCloud, type Cloud } from './cloud.ts';

let cloud: Cloud;
beforeAll(async () => {
  cloud = await startCloud({});
});
afterAll(() => cloud[Symbol.asyncDispose]());

async function connectThrough(target: string): Promise<string> {
  const socket = connect(Number(new URL(cloud.proxyUrl).port), '127.0.0.1');
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString();
}

test.each([
  'orders.vault.azure.net',
  'login.microsoftonline.com',
  'login.windows.net',
  'graph.microsoft.com',
  'management.azure.com',
  'orders.blob.core.windows.net',
])('the proxy leads to %s, and its certificate is trusted there', async (host) => {
  expect(await connectThrough(`${host}:443`)).toMatch(/^HTTP\/1\.1 200 /);
  // An answer at all means that the TLS handshake, with the CA's name constraints, went through.
  expect((await cloud.call(`https://${host}/`)).status).toBeGreaterThanOrEqual(400);
});

test.each([
  'example.com:443',
  'management.azure.com:80',
  'evil-management.azure.com:443',
  'management.azure.com.example.com:443',
  'a.login.microsoftonline.com:443',
  'blob.core.windows.net:443',
  'a.b.blob.core.windows.net:443',
  'orders.queue.core.windows.net:443',
  'loginXmicrosoftonline.com:443',
])('the proxy refuses %s, and says where it leads', async (target) => {
  const answer = await connectThrough(target);
  expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  expect(answer).toContain('graph.microsoft.com');
  expect(answer).toContain('NO_PROXY');
});

test('the certificate is for no other name', async () => {
  await expect(cloud.call('https://example.com/')).rejects.toThrow('altnames');
});
