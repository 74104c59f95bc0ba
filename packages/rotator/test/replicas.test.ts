import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../src/clock.ts';
import { lockExecutor, type ExecutorLock } from '../src/journal/executor-lock.ts';
import { countReplicas } from '../src/journal/replicas.ts';
import { vaultUrl } from './fakes/vault.ts';
import { useJournal } from './journal-world.ts';

const world = useJournal();
const undo: (() => Promise<void> | void)[] = [];
const clock = { ...systemClock, sleep: () => systemClock.sleep(20) };
let names = 0;
let told: number[];

beforeEach(() => void (told = []));
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

/** One more rotator on that vault. */
async function start(
  vault = vaultUrl,
  counted: (live: number) => void = () => undefined,
): Promise<ExecutorLock> {
  const lock = await lockExecutor(world.server.url(), `rotator ${(names += 1)}`);
  undo.push(() => lock.release());
  undo.push(await countReplicas({ vault, lock, clock, counted }));
  return lock;
}

const toldLast = (live: number) => vi.waitFor(() => expect(told.at(-1)).toBe(live), { timeout: 5_000 });

describe('the number of rotators on a vault', () => {
  it('is known from the start and follows those who come and go', async () => {
    await start(vaultUrl, (live) => told.push(live));
    expect(told).toEqual([1]);
    const second = await start();
    const third = await start();
    await toldLast(3);
    await second.release();
    await third.release();
    await toldLast(1);
    let newcomer: number | undefined;
    await start(vaultUrl, (live) => (newcomer ??= live));
    expect(newcomer).toBe(2);
  });

  it('leaves out those of another vault, and falls when one dies', async () => {
    await start(vaultUrl, (live) => told.push(live));
    await start('https://another.vault.azure.net');
    const other = await start();
    await toldLast(2);
    await world.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keyturn rotator ${names}'`,
    );
    await other.lost.catch(() => undefined);
    await toldLast(1);
    expect(Math.max(...told)).toBe(2);
  });

  it('is told by a journal that opens', async () => {
    await start();
    await world.open(async () => Promise.reject(new Error('nothing is rotated')), {
      counted: (live) => void told.push(live),
    });
    expect(told).toEqual([2]);
  });
});
