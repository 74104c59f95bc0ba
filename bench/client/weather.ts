import { setTimeout as sleep } from 'node:timers/promises';
import { contenders, type Vault } from './contenders.ts';

// A contender in good and bad times, in a process of its own: `weather.ts CONTENDER`.

const [contender = 'keyturn'] = process.argv.slice(2);
const ttlMs = 1_000;
/** Microtasks in which every contender has answered if it has a value. */
const turns = 10;
const answered = Promise.resolve();

/** A vault that answers after `latencyMs`, or as `mood` says. */
function vaultWith(latencyMs: number) {
  const state = { calls: 0, mood: 'good' as 'good' | '503' | 'hanging' };
  const vault: Vault = {
    async getSecret() {
      state.calls += 1;
      await sleep(latencyMs);
      if (state.mood === 'hanging') await new Promise(() => {});
      if (state.mood === '503') throw Object.assign(new Error('503'), { statusCode: 503 });
      return { value: 'hunter2', properties: { version: 'v1' } };
    },
  };
  return { vault, state };
}

function open(vault: Vault) {
  const made = contenders[contender]?.(vault, ttlMs);
  if (!made) throw new Error(`There is no contender ${contender}.`);
  return made;
}

async function coldGets(): Promise<number> {
  const { vault, state } = vaultWith(50);
  const cache = open(vault);
  await Promise.all(Array.from({ length: 1_000 }, () => cache.get('orders-db')));
  return state.calls;
}

/**
 * So many gets a second for a while; how long each took, and how many failed. Gets that are due at one moment are
 * sent one after the other, each when the one before has had its turn to answer, so that none is charged for others.
 */
async function load(get: () => Promise<unknown>, at: { perSecond: number; forMs: number }) {
  const tookMs: number[] = [];
  let failed = 0;
  const under: Promise<void>[] = [];
  const began = performance.now();
  let sent = 0;
  for (let now = 0; now < at.forMs; now = performance.now() - began) {
    for (; sent < (now / 1_000) * at.perSecond; sent += 1) {
      const startedAt = performance.now();
      under.push(
        (async () => {
          try {
            const value = await get();
            tookMs.push(performance.now() - startedAt);
            if (value === undefined) failed += 1;
          } catch {
            failed += 1;
          }
        })(),
      );
      for (let turn = 0; turn < turns; turn += 1) await answered;
    }
    await sleep(1);
  }
  await Promise.race([Promise.all(under), sleep(2_000)]); // who waits for a hanging vault waits for ever
  const sorted = tookMs.toSorted((one, other) => one - other);
  const unanswered = under.length - tookMs.length - failed;
  return { gets: under.length, sorted, failed: failed + unanswered };
}

async function acrossExpiries() {
  const { vault } = vaultWith(50);
  const cache = open(vault);
  await cache.get('orders-db');
  await load(() => cache.get('orders-db'), { perSecond: 10_000, forMs: 1_500 }); // warms up
  const { gets, sorted } = await load(() => cache.get('orders-db'), { perSecond: 10_000, forMs: 5_000 });
  const rounded = (ms = 0) => Number(ms.toFixed(4));
  return {
    gets,
    p50Ms: rounded(sorted[Math.floor(sorted.length * 0.5)]),
    p99Ms: rounded(sorted[Math.floor(sorted.length * 0.99)]),
    maxMs: rounded(sorted.at(-1)),
  };
}

async function outage(mood: '503' | 'hanging') {
  const { vault, state } = vaultWith(5);
  const cache = open(vault);
  await cache.get('orders-db');
  state.mood = mood;
  state.calls = 0;
  const { gets, failed } = await load(() => cache.get('orders-db'), { perSecond: 1_800, forMs: 3_000 });
  return { gets, failed, vaultCalls: state.calls };
}

const result = {
  coldGets: { gets: 1_000, vaultCalls: await coldGets() },
  expiries: await acrossExpiries(),
  unavailable: await outage('503'),
  hanging: await outage('hanging'),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
