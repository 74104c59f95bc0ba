import type { Clock } from '../../src/index.ts';

/** A clock that a test sets. Timers run in the order in which they are due. */
export interface FakeClock extends Clock {
  advance(ms: number): Promise<void>;
  readonly pending: number;
}

export function fakeClock(): FakeClock {
  let time = Date.parse('2027-01-15T12:00:00Z');
  const timers = new Set<{ at: number; action: () => void }>();
  return {
    now: () => time,
    after(ms, action) {
      const timer = { at: time + ms, action };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(ms) {
      const end = time + ms;
      await settle();
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
        if (!next) break;
        time = Math.max(time, next.at);
        timers.delete(next);
        next.action();
        await settle();
      }
      time = end;
    },
    get pending() {
      return timers.size;
    },
  };
}

/** Lets everything that is already decided happen. */
export async function settle(): Promise<void> {
  await new Promise(setImmediate);
}
