import { describe, expect, it } from 'vitest';
import type { Clock } from '../src/clock.ts';
import { keepPruning } from '../src/triggers/pruning.ts';
import { useJournal } from './journal-world.ts';

const dayMs = 86_400_000;

/** Sleeps end when they are told to. */
function openScene(prune: (endedBefore: string, limit: number) => Promise<number>) {
  const asked: number[] = [];
  const failures: unknown[] = [];
  let wake: () => void = () => undefined;
  const clock: Clock = {
    now: () => Date.UTC(2027, 0, 1),
    sleep(ms) {
      asked.push(ms);
      return new Promise((resolve) => (wake = resolve));
    },
  };
  const failed = (error: unknown) => void failures.push(error);
  const stop = keepPruning({ keepMs: 400 * dayMs, clock, random: () => 0.5, prune, failed });
  return {
    asked,
    failures,
    stop,
    async hour() {
      const before = asked.length;
      wake();
      while (asked.length === before) await new Promise(setImmediate);
    },
  };
}

describe('pruning', () => {
  it('drops once an hour what ended before its time, batch after batch', async () => {
    const calls: [string, number][] = [];
    const dropped = [200, 200, 7, 0];
    const { asked, hour, stop } = openScene(async (endedBefore, limit) => {
      calls.push([endedBefore, limit]);
      return dropped.shift() ?? 0;
    });
    expect(calls).toEqual([]);
    await hour();
    expect(calls).toHaveLength(3);
    expect(new Set(calls.map(String))).toEqual(new Set(['2025-11-27T00:00:00.000Z,200']));
    await hour();
    expect(calls).toHaveLength(4);
    expect(asked).toEqual([3_600_000, 3_600_000, 3_600_000]);
    stop();
  });

  it('tells of a failure and tries again', async () => {
    const error = new Error('the database is away');
    const { failures, hour, stop } = openScene(() => Promise.reject(error));
    await hour();
    await hour();
    expect(failures).toEqual([error, error]);
    stop();
  });
});

describe('the journal forgets a rotation', () => {
  const world = useJournal();

  it('with all attempts that it took, and leaves the others', async () => {
    const [one, other] = [world.newRequest(), world.newRequest()];
    let attempts = 0;
    const journal = await world.open(async (_run, { id }) => {
      if (id === one.id && (attempts += 1) < 3) throw new Error('not yet');
      return world.outcome(id === one.id ? one : other);
    });
    await journal.run(one).catch(() => undefined);
    await journal.run(one).catch(() => undefined);
    await journal.run(one);
    await journal.run(other);
    const kept = async () =>
      (
        await world.query<{ id: string }>('select workflow_uuid as id from dbos.workflow_status order by 1')
      ).map(({ id }) => id.slice(id.indexOf(' ') + 1));
    expect(await kept()).toEqual([one.id, `${one.id}/2`, `${one.id}/3`, other.id]);
    await journal.forget(one.id);
    expect(await kept()).toEqual([other.id]);
    await journal.forget(one.id); // twice is harmless
    expect(await kept()).toEqual([other.id]);
  });
});
