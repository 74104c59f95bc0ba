import { openSecrets } from '@keyturn/client';
import { contenders, type Vault } from './contenders.ts';

// Nanoseconds of one read, in a process of its own: `hot-path.ts CONTENDER`. Rounds of each are taken by turns.

const [contender = 'keyturn'] = process.argv.slice(2);
const vault: Vault = {
  getSecret: () => Promise.resolve({ value: 'hunter2', properties: { version: 'v1' } }),
};
const cache = contenders[contender]?.(vault, 60_000);
if (!cache) throw new Error(`There is no contender ${contender}.`);
await cache.get('orders-db');
const handle = openSecrets({ vault }).handle('orders-db');
const plain = { current: await handle.ready };
const resolved = Promise.resolve(plain.current);

let sink = 0; // so that nothing can be left out
const reads: Readonly<Record<string, (times: number) => void | Promise<void>>> = {
  property(times) {
    for (let time = 0; time < times; time += 1) sink += plain.current.version.length;
  },
  handle(times) {
    for (let time = 0; time < times; time += 1) sink += handle.current.version.length;
  },
  async resolved(times) {
    for (let time = 0; time < times; time += 1) sink += (await resolved) ? 1 : 0;
  },
  async get(times) {
    for (let time = 0; time < times; time += 1) sink += (await cache.get('orders-db')) ? 1 : 0;
  },
};

const rounds = 40;
const taken: Record<string, number[]> = {};
for (let round = -5; round < rounds; round += 1) {
  for (const [name, read] of Object.entries(reads)) {
    const times = name === 'property' || name === 'handle' ? 5_000_000 : 300_000;
    const began = performance.now();
    await read(times);
    const each = ((performance.now() - began) * 1e6) / times;
    if (round >= 0) (taken[name] ??= []).push(each); // the first rounds warm up
  }
}
const medians = Object.entries(taken).map(([name, all]) => [
  name,
  Number((all.toSorted((one, other) => one - other)[rounds / 2] ?? 0).toFixed(2)),
]);
process.stdout.write(`${JSON.stringify(Object.fromEntries(medians))}\n`);
process.exit(sink > 0 ? 0 : 1);
