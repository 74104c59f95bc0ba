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
const live = openSecrets({ vault }).handle('orders-db');
const plain = { current: await live.ready };
const answer = Promise.resolve(plain.current);

let sink = 0; // so that nothing can be left out
const reads: Readonly<Record<string, (times: number) => void | Promise<void>>> = {
  property(times) {
    for (let time = 0; time < times; time += 1) sink += plain.current.version.length;
  },
  handle(times) {
    for (let time = 0; time < times; time += 1) sink += live.current.version.length;
  },
  async resolved(times) {
    for (let time = 0; time < times; time += 1) sink += (await answer) ? 1 : 0;
  },
  async get(times) {
    for (let time = 0; time < times; time += 1) sink += (await cache.get('orders-db')) ? 1 : 0;
  },
};

const rounds = 100;
const taken: Record<string, number[]> = {};
for (let round = -15; round < rounds; round += 1) {
  for (const [name, read] of Object.entries(reads)) {
    const times = name === 'property' || name === 'handle' ? 2_000_000 : 100_000;
    const began = performance.now();
    await read(times);
    const each = ((performance.now() - began) * 1e6) / times;
    if (round >= 0) (taken[name] ??= []).push(each); // the first rounds warm up
  }
}
const median = (all: readonly number[]): number =>
  Number((all.toSorted((one, other) => one - other)[rounds / 2] ?? 0).toFixed(2));
const { property = [], handle = [], resolved = [], get = [] } = taken;
/** Of neighbours in time, so that what else the machine does weighs on both. */
const times = (some: readonly number[], others: readonly number[]): number =>
  median(some.map((one, round) => one / (others[round] ?? 0)));
const result = {
  property: median(property),
  handle: median(handle),
  resolved: median(resolved),
  get: median(get),
  handlePerProperty: times(handle, property),
  getPerResolved: times(get, resolved),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(sink > 0 ? 0 : 1);
