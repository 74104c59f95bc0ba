import type { Clock } from '../../src/clock.ts';

/** A clock that tests set: `sleep` advances it at once, and what was put on it happens on the way. */
export interface SetClock extends Clock {
  advance(ms: number): void;
  /** Has something happen when the clock reaches this time, milliseconds since 1970. */
  at(time: number, happening: () => void): void;
}

const longestMs = 5 * 86_400_000;

export function openSetClock(start = Date.UTC(2026, 0, 1)): SetClock {
  let now = start;
  const planned: { time: number; happening: () => void }[] = [];

  function advance(ms: number): void {
    const until = now + ms;
    for (;;) {
      const next = planned.toSorted((one, other) => one.time - other.time).find(({ time }) => time <= until);
      if (!next) break;
      planned.splice(planned.indexOf(next), 1);
      now = Math.max(now, next.time);
      next.happening();
    }
    now = until;
    // Whoever waits on this clock never yields to a timer, so a test that waits for ever must be told here.
    if (now > start + longestMs)
      throw new Error('Five days have passed on the clock: nobody ends this waiting.');
  }

  return {
    now: () => now,
    advance,
    at: (time, happening) => void planned.push({ time, happening }),
    async sleep(ms) {
      advance(ms);
    },
  };
}
