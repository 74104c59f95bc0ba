import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { serverSentEvents } from '../src/event-stream.ts';
import { openSecrets } from '../src/index.ts';
import { fakeVault } from './fakes/fake-vault.ts';

async function eventsOf(chunks: readonly string[]) {
  async function* stream() {
    yield* chunks;
  }
  const events = [];
  for await (const event of serverSentEvents(stream())) events.push(event);
  return events;
}

test.each(['\n', '\r\n', '\r'])('lines may end with %j, and chunks may end anywhere', async (end) => {
  const text = [': hello', 'id: 7', 'event: news', 'data:{"a":', 'data: 1}', 'nonsense', '', ''].join(end);
  const expected = [{ id: '7', event: 'news', data: '{"a":\n1}' }];
  expect(await eventsOf([`${text}: more`])).toEqual(expected);
  expect(await eventsOf([...text.split(''), ': more'])).toEqual(expected);
});

test('a frame may be as long as the names of a thousand secrets', async () => {
  const names = Array.from({ length: 1_000 }, (_, index) => `${index}`.padStart(127, 'x'));
  const data = JSON.stringify({ secrets: names });
  const pieces = `event: watched\ndata: ${data}\n\n`.match(/.{1,16384}\n*/gs) ?? [];
  expect(await eventsOf(pieces)).toEqual([{ id: undefined, event: 'watched', data }]);
});

test.each([
  ['line', 'x'],
  ['frame', `data: ${'x'.repeat(80)}\n`],
])('a %s that never ends does not fill the memory', async (_what, piece) => {
  async function* endless() {
    for (;;) yield piece.repeat(1_000);
  }
  const events = serverSentEvents(endless());
  await expect(events.next()).rejects.toThrow(/over \d+ characters/);
});

let streams: ServerResponse[];
let ids: (string | undefined)[];
const server = createServer((request, response) => {
  if (request.method === 'POST') return response.writeHead(204).end();
  ids.push(request.headers['last-event-id'] as string | undefined);
  streams.push(response);
  return response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
});
beforeEach(async () => {
  [streams, ids] = [[], []];
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

test('an id that no header can hold ends no reconnection', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const secrets = openSecrets({
    vault: fakeVault('v1'),
    rotator: { url, consumer: 'orders-api', reconnectMaxMs: 50 },
  });
  for (const [turn, id] of ['7', '☃', 'x'.repeat(20_000), '8\u0000', ''].entries()) {
    await vi.waitFor(() => expect(streams).toHaveLength(turn + 1), { timeout: 3_000, interval: 5 });
    streams[turn]?.end(`id: ${id}\ndata: {}\n\n`);
  }
  await vi.waitFor(() => expect(ids).toHaveLength(6), { timeout: 3_000, interval: 5 });
  expect(ids).toEqual([undefined, '7', '7', '7', '7', undefined]);
  await secrets.close();
});
