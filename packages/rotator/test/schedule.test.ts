import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { RotationEvent } from '../src/events.ts';
import { retryInMs } from '../src/policy/backoff.ts';
import { whenDue, type DueFacts } from '../src/policy/due.ts';
import { openSchedule, type Schedule } from '../src/triggers/schedule.ts';
import { usualPolicy } from './fakes/world.ts';

const dayMs = 86_400_000;
const start = Date.UTC(2026, 0, 1);

function facts(policy: Partial<DueFacts['policy']>, rest: Partial<DueFacts> = {}): DueFacts {
  return { policy: { ...usualPolicy, ...policy }, version: 'v1', createdAt: start, ...rest };
}

describe('a secret is due', () => {
  it('after its interval, up to a tenth earlier', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 60_000, max: 400 * dayMs }), (version, everyMs) => {
        const due = whenDue(facts({ everyMs }, { version }));
        expect((due?.at ?? 0) - start).toBeLessThanOrEqual(everyMs);
        expect((due?.at ?? 0) - start).toBeGreaterThanOrEqual(Math.floor(everyMs * 0.9));
        expect(whenDue(facts({ everyMs }, { version }))).toEqual(due);
      }),
    );
  });

  it('at a moment of its own, so that those published together are not rotated together', () => {
    const seconds = Array.from({ length: 10_000 }, (_, number) => {
      const due = whenDue(facts({ secret: `secret-${number}`, everyMs: 30 * dayMs }));
      return Math.floor((due?.at ?? 0) / 1_000);
    });
    const together = [...Map.groupBy(seconds, (second) => second).values()];
    const most = Math.max(...together.map(({ length }) => length));
    expect(most).toBeLessThanOrEqual(5); // of 259,200 seconds
  });

  it('when two thirds of a validity are over for which Key Vault’s event would come at once', () => {
    const due = whenDue(facts({ validityMs: 30 * dayMs }));
    expect(due?.because).toBe('two thirds of its validity of 30 days are over');
    expect(due?.at).toBeLessThanOrEqual(start + 20 * dayMs);
    expect(due?.at).toBeGreaterThan(start + 17 * dayMs);
  });

  it('a day after Key Vault’s event should have come', () => {
    const expiresAt = start + 90 * dayMs;
    expect(whenDue(facts({ validityMs: 90 * dayMs }, { expiresAt }))).toEqual({
      at: start + 61 * dayMs,
      because: 'it expires within 29 days and no event has come',
    });
  });

  it('never, if it has no interval and never expires', () => {
    expect(whenDue(facts({ validityMs: 90 * dayMs }))).toBeUndefined();
  });
});

describe('the pause before a failed secret is tried again', () => {
  it('grows to six hours at most, and differs', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (times, x) => {
          const ms = retryInMs(times, () => x);
          const longest = Math.min(60_000 * 2 ** (times - 1), 6 * 3_600_000);
          expect(ms).toBeGreaterThanOrEqual(longest / 2);
          expect(ms).toBeLessThanOrEqual(longest);
        },
      ),
    );
    expect(retryInMs(3, () => 0.9)).not.toBe(retryInMs(3, () => 0.1));
  });
});

/** A clock that moves when it is told to, and lets sleepers wake on the way. */
function manualClock() {
  let now = start;
  let sleepers: { readonly until: number; wake(): void }[] = [];
  return {
    now: () => now,
    sleep: (ms: number) => new Promise<void>((wake) => void sleepers.push({ until: now + ms, wake })),
    async advance(ms: number) {
      const until = now + ms;
      await new Promise(setImmediate); // so that whoever was about to sleep does
      for (;;) {
        const [next] = sleepers.toSorted((one, other) => one.until - other.until);
        if (!next || next.until > until) break;
        now = next.until;
        sleepers = sleepers.filter((one) => one !== next);
        next.wake();
        await new Promise(setImmediate);
      }
      now = until;
    },
  };
}

let schedule: Schedule | undefined;
afterEach(() => schedule?.stop());

function open(secrets: readonly string[], due: (secret: string) => number | undefined) {
  const clock = manualClock();
  const started: string[] = [];
  let refuses: (secret: string) => boolean = () => false;
  const opened = openSchedule({
    clock,
    random: () => 0.5,
    secrets,
    due(secret) {
      const at = due(secret);
      return at === undefined ? undefined : { at, because: 'it is time' };
    },
    async start(secret, because) {
      if (refuses(secret)) throw new Error('No answer.');
      started.push(`${secret}: ${because}`);
    },
  });
  schedule = opened;
  const tell = (secret: string, event: RotationEvent) =>
    opened.record({ ...event, rotation: `${secret}@v1`, at: new Date(clock.now()).toISOString() });
  return { clock, started, schedule: opened, tell, refuse: (which: typeof refuses) => (refuses = which) };
}

const failed = { kind: 'failed', code: 'SOURCE', message: 'No.' } as const;

describe('the schedule', () => {
  it('starts what is due once, and again when it has ended', async () => {
    const { clock, started, tell } = open(['a', 'b'], (secret) =>
      secret === 'a' ? start + 60_000 : undefined,
    );
    await clock.advance(59_000);
    expect(started).toEqual([]);
    await clock.advance(600_000);
    expect(started).toEqual(['a: it is time']);
    tell('a', { kind: 'ended', outcome: {} as never });
    await clock.advance(10_000);
    expect(started).toHaveLength(2);
  });

  it('tries again what failed, more and more rarely, while the others go on', async () => {
    const { clock, started, tell, schedule: opened } = open(['a', 'b'], () => start);
    await clock.advance(5_000);
    expect(started).toEqual(['a: it is time', 'b: it is time']);
    tell('a', failed);
    expect(opened.failure('a')).toMatchObject({ failures: 1, message: 'No.', nextAt: clock.now() + 45_000 });
    tell('b', { kind: 'ended', outcome: {} as never });
    await clock.advance(10_000);
    expect(started.slice(2)).toEqual(['b: it is time']);
    await clock.advance(60_000);
    expect(started.slice(3)).toEqual(['a: attempt 2: No.']);
    tell('a', failed);
    expect(opened.failure('a')?.nextAt).toBe(clock.now() + 90_000);
    tell('a', { kind: 'ended', outcome: {} as never });
    expect(opened.failure('a')).toBeUndefined();
  });

  it('takes a start that fails for a failure', async () => {
    const { clock, started, refuse, schedule: opened } = open(['a', 'b'], () => start + 1);
    refuse((secret) => secret === 'a');
    await clock.advance(6_000);
    expect(started).toEqual(['b: it is time']);
    expect(opened.failure('a')).toMatchObject({ message: 'No answer.', failures: 1 });
  });

  it('tries a start that failed again only when it is due, and a rotation that has begun at any time', async () => {
    let dueAt = start + 1;
    const { clock, started, refuse, tell, schedule: opened } = open(['a', 'b'], () => dueAt);
    refuse((secret) => secret === 'a');
    await clock.advance(6_000);
    expect(started).toEqual(['b: it is time']);
    tell('b', failed);
    dueAt = start + dayMs; // the window has closed meanwhile
    refuse(() => false);
    expect(opened.failure('a')?.nextAt).toBe(dueAt);
    await clock.advance(dayMs - 20_000);
    expect(started.slice(1)).toEqual(['b: attempt 2: No.']);
    await clock.advance(40_000);
    expect(started.slice(2)).toEqual(['a: attempt 2: No answer.']);
  });

  it('goes on with what has begun at any time, also after a try that got nowhere', async () => {
    const { clock, started, refuse, tell } = open(['a'], () => undefined);
    tell('a', failed);
    refuse(() => true);
    await clock.advance(60_000);
    refuse(() => false);
    await clock.advance(180_000);
    expect(started).toEqual(['a: attempt 3: No answer.']);
  });

  it('leaves alone what an operator has aborted', async () => {
    const { clock, started, tell } = open(['a'], () => start);
    tell('a', { ...failed, code: 'ABORTED' });
    await clock.advance(30 * dayMs);
    expect(started).toHaveLength(1);
  });

  it('goes on with what had failed before a restart', async () => {
    const { clock, started, schedule: opened } = open(['a'], () => undefined);
    opened.failed('a', { message: 'No.' });
    await clock.advance(60_000);
    expect(started).toEqual(['a: attempt 2: No.']);
  });

  it('starts a thousand secrets of one age at different moments', async () => {
    const names = Array.from({ length: 1_000 }, (_, number) => `secret-${number}`);
    const createdAt = start - 27 * dayMs;
    const dueAt = new Map(
      names.map((secret) => [secret, whenDue(facts({ secret, everyMs: 30 * dayMs }, { createdAt }))?.at]),
    );
    const { clock, started } = open(names, (secret) => dueAt.get(secret));
    await clock.advance(dayMs);
    expect(started.length).toBeGreaterThan(250);
    expect(started.length).toBeLessThan(420);
    await clock.advance(2 * dayMs);
    expect(started).toHaveLength(1_000);
  });

  it('starts so many at a look, and the others at the next ones', async () => {
    const names = Array.from({ length: 50 }, (_, number) => `secret-${number}`);
    const { clock, started } = open(names, () => start);
    await clock.advance(1);
    expect(started).toHaveLength(20);
    await clock.advance(10_000);
    expect(started).toHaveLength(50);
  });
});
