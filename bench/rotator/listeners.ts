import { request } from 'node:http';

// `listeners.ts URL COUNT`: so many instances that listen, in a process of its own. It says when all are connected,
// and when the last of them has heard of a version.

const [url = '', text = '0'] = process.argv.slice(2);
const count = Number(text);
let connected = 0;
let wanted = '';
const heard = new Map<string, number>();

function hear(version: string): void {
  const times = (heard.get(version) ?? 0) + 1;
  heard.set(version, times);
  if (version === wanted && times === count) process.send?.({ heard: version, at: Date.now() });
}

function listen(number: number): void {
  const query = `consumer=orders-api&instance=instance-${process.pid}-${number}`;
  request(`${url}/v1/announcements?${query}`, { agent: false }, (response) => {
    connected += 1;
    if (connected === count) process.send?.({ connected });
    response.setEncoding('utf8').on('data', (chunk: string) => {
      for (const [, version = ''] of chunk.matchAll(/"version":"(\w+)"/g)) hear(version);
    });
  })
    .on('error', () => process.exit(1))
    .end();
}

process.on('message', ({ version }: { version: string }) => {
  wanted = version;
  if (heard.get(version) === count) process.send?.({ heard: version, at: Date.now() });
});
for (let number = 0; number < count; number += 1) {
  listen(number);
  if (number % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 10));
}
