import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overlapMs } from '../src/policy/overlap.ts';
import { whenDue } from '../src/policy/due.ts';
import { whenStarts, whyItWaits, type WhenStartsFacts } from '../src/policy/when-starts.ts';
import { isOpen, weekdays, type MaintenanceWindow } from '../src/policy/window.ts';
import { windowsTooRare } from '../src/policy/windows-too-rare.ts';
import { usualPolicy } from './fakes/world.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const saturdays: MaintenanceWindow = { days: ['sat'], from: '22:00', to: '04:00', timeZone: 'Europe/Berlin' };
const at = (time: string) => Date.parse(time);

function facts(policy: Partial<WhenStartsFacts['policy']>, rest: Partial<WhenStartsFacts> = {}) {
  return {
    policy: { ...usualPolicy, windows: [saturdays], ...policy },
    version: 'v1',
    createdAt: at('2026-01-01T00:00Z'), // a Thursday
    now: at('2026-01-01T00:00Z'),
    ...rest,
  };
}

const expiresOnTuesday = { expiresAt: at('2026-04-14T12:00Z') }; // 30 days before that is a Sunday

describe('a secret with a maintenance window starts', () => {
  it('at the first opening after it is due, and says which that is', () => {
    const { everyMs, ...late } = { everyMs: 30 * dayMs, now: at('2026-02-03T12:00Z') };
    const starts = whenStarts(facts({ everyMs }, late));
    expect(starts).toEqual({
      at: at('2026-02-07T21:00Z'),
      because:
        'it is rotated every 30 days; it waits for the maintenance window that opens at 2026-02-07T21:00Z',
    });
    const early = whenStarts(facts({ everyMs }));
    const due = whenDue(facts({ everyMs }))?.at ?? Infinity;
    expect(isOpen([saturdays], early?.at ?? 0)).toBe(true);
    expect(early?.at).toBeGreaterThanOrEqual(due);
    expect(early?.at).toBeLessThan(due + 7 * dayMs);
  });

  it('at once if it is due while a window is open', () => {
    const now = at('2026-02-07T23:59Z');
    expect(whenStarts(facts({ everyMs: dayMs }, { now }))).toEqual(whenDue(facts({ everyMs: dayMs })));
  });

  it('at the next opening if nobody started it at the last one', () => {
    const windows = [saturdays];
    const starts = (now: string) => whenStarts(facts({ everyMs: dayMs, windows }, { now: at(now) }))?.at;
    expect(starts('2026-01-10T20:59Z')).toBe(at('2026-01-10T21:00Z'));
    expect(starts('2026-01-10T21:00Z')).toBeLessThan(at('2026-01-03T00:00Z'));
    expect(starts('2026-01-11T02:59Z')).toBeLessThan(at('2026-01-03T00:00Z'));
    expect(starts('2026-01-11T03:00Z')).toBe(at('2026-01-17T21:00Z'));
    expect(starts('2026-01-10T20:59Z')).toBe(at('2026-01-10T21:00Z'));
  });

  it('without waiting where the opening leaves no time for the overlap before the expiry', () => {
    const opens = at('2026-02-07T21:00Z');
    const needed = overlapMs(usualPolicy);
    const now = at('2026-02-03T12:00Z');
    const startsFor = (expiresAt: number) => whenStarts(facts({ everyMs: 30 * dayMs }, { now, expiresAt }));
    expect(startsFor(opens + needed)?.at).toBe(opens);
    expect(startsFor(opens + needed - 1)?.at).toBeLessThan(now);
    expect(startsFor(opens + needed - 1)?.because).toBe(
      'it is rotated every 30 days; it does not wait for the maintenance window that opens at 2026-02-07T21:00Z, ' +
        'too late for the expiry at 2026-02-07T21:03Z and an overlap of 185 s before it',
    );
    expect(startsFor(now - dayMs)?.at).toBeLessThan(now); // it has expired
  });

  it('by an hour less or more on the wall when clocks change', () => {
    const nightly: MaintenanceWindow = { ...saturdays, days: [...weekdays], from: '02:30', to: '03:30' };
    const starts = (now: string) =>
      whenStarts(facts({ everyMs: dayMs, windows: [nightly] }, { now: at(now) }))?.at;
    expect(starts('2026-03-28T12:00Z')).toBe(at('2026-03-29T01:00Z')); // 03:00, as 02:30 is skipped
    expect(starts('2026-10-24T12:00Z')).toBe(at('2026-10-25T00:30Z')); // the first 02:30 of two
  });
});

describe('a near expiry outside of the windows', () => {
  const now = at('2026-03-15T12:00Z'); // a Sunday, 30 days before the expiry

  it('waits for the opening, where the schedule takes it up without a memory of it', () => {
    const seen = facts({}, { ...expiresOnTuesday, now, hearsEvents: true });
    const waits =
      'it expires within 30 days; it waits for the maintenance window that opens at 2026-03-21T21:00Z';
    expect(whyItWaits(seen)).toBe(waits);
    expect(whenStarts(seen)).toEqual({ at: at('2026-03-21T21:00Z'), because: waits });
    expect(whenStarts({ ...seen, now: at('2026-03-21T21:00Z') })?.at).toBeLessThanOrEqual(
      at('2026-03-21T21:00Z'),
    );
  });

  it('is taken up at the opening also where the interval ends later', () => {
    const seen = facts({ everyMs: 100 * dayMs, validityMs: 110 * dayMs }, { ...expiresOnTuesday, now });
    expect(whenStarts({ ...seen, hearsEvents: true })?.at).toBe(at('2026-03-21T21:00Z'));
    expect(whenStarts(seen)?.because).toContain('it is rotated every 100 days');
  });

  it('starts the rotation at once where the window opens too late, or the schedule knows of no expiry', () => {
    const soon = { now, hearsEvents: true, expiresAt: at('2026-03-21T21:00Z') };
    expect(whyItWaits(facts({}, soon))).toBeUndefined();
    expect(whyItWaits(facts({}, { now, hearsEvents: true }))).toBeUndefined();
  });

  it('does not wait inside of one, nor without any', () => {
    const inside = at('2026-03-21T21:00Z');
    expect(whyItWaits(facts({}, { ...expiresOnTuesday, now: inside, hearsEvents: true }))).toBeUndefined();
    const none = facts({ windows: [] }, { ...expiresOnTuesday, now, hearsEvents: true });
    expect(whyItWaits(none)).toBeUndefined();
    expect(whenStarts(none)?.at).toBe(at('2026-03-16T12:00Z')); // a day after the event
  });
});

const windows = fc.array(
  fc.record({
    days: fc.subarray([...weekdays], { minLength: 1 }),
    from: fc.constantFrom('00:00', '02:30', '22:00'),
    to: fc.constantFrom('03:15', '04:00', '23:00', '24:00'),
    timeZone: fc.constantFrom('Europe/Berlin', 'America/New_York', 'UTC', 'Australia/Lord_Howe'),
  }),
  { minLength: 1, maxLength: 2 },
);

describe('whatever the windows', () => {
  it('a start is inside of one, or it could not wait; and a secret that was waited for has its overlap', () => {
    const moments = fc.record({
      windows,
      everyMs: fc.integer({ min: hourMs, max: 60 * dayMs }),
      livesMs: fc.integer({ min: hourMs, max: 90 * dayMs }),
      afterMs: fc.integer({ min: 0, max: 95 * dayMs }),
    });
    fc.assert(
      fc.property(moments, ({ windows: open, everyMs, livesMs, afterMs }) => {
        const expiresAt = facts({}).createdAt + livesMs;
        const seen = facts(
          { windows: open, everyMs },
          { expiresAt, now: facts({}).createdAt + afterMs, hearsEvents: true },
        );
        const due = whenDue(seen)?.at ?? Infinity;
        const starts = whenStarts(seen)?.at ?? Infinity;
        const startsNow = Math.max(starts, seen.now);
        expect(starts).toBeGreaterThanOrEqual(due);
        if (starts === due) return;
        expect(isOpen(open, startsNow)).toBe(true);
        expect(startsNow + overlapMs(seen.policy)).toBeLessThanOrEqual(expiresAt);
      }),
      { numRuns: 500 },
    );
  });

  it('a policy that is not refused never has to start outside', () => {
    const policies = fc.record({
      windows: windows.map((all) => all.map((one) => ({ ...one, timeZone: 'UTC' }))),
      everyMs: fc.option(fc.integer({ min: dayMs, max: 90 * dayMs }), { nil: undefined }),
      validityMs: fc.integer({ min: dayMs, max: 90 * dayMs }),
      lateMs: fc.integer({ min: 0, max: 3 * hourMs }),
    });
    fc.assert(
      fc.property(policies, ({ everyMs, lateMs, ...rest }) => {
        const seen = facts({ ...rest, ...(everyMs === undefined ? {} : { everyMs }) });
        fc.pre(windowsTooRare(seen.policy) === undefined);
        const createdAt = seen.createdAt + lateMs;
        const expiresAt = createdAt + rest.validityMs;
        const starts = whenStarts({ ...seen, createdAt, now: createdAt, expiresAt });
        expect(isOpen(rest.windows, starts?.at ?? 0)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('windows that open too rarely', () => {
  it('are named with the arithmetic', () => {
    expect(windowsTooRare({ ...usualPolicy, windows: [saturdays], validityMs: 14 * dayMs })).toBe(
      'they are closed for up to 6.8 days and the overlap lasts 185 s, ' +
        'but a version valid for 14 days is due 4.7 days before its expiry',
    );
    const everyMs = 85 * dayMs;
    expect(windowsTooRare({ ...usualPolicy, windows: [saturdays], everyMs })).toContain(
      'is due 5 days before',
    );
  });

  it('are those alone', () => {
    expect(windowsTooRare({ ...usualPolicy, windows: [saturdays] })).toBeUndefined();
    expect(windowsTooRare({ ...usualPolicy, everyMs: 90 * dayMs })).toBeUndefined();
  });
});
