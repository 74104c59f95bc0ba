import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isOpen,
  longestClosedMs,
  nextOpening,
  weekdays,
  type MaintenanceWindow,
  type Weekday,
} from '../src/policy/window.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const everyDay: readonly Weekday[] = [...weekdays];

function window(from: string, to: string, more: Partial<MaintenanceWindow> = {}): MaintenanceWindow {
  return { days: everyDay, from, to, timeZone: 'Europe/Berlin', ...more };
}

function opening(windows: readonly MaintenanceWindow[], at: string): [string, string] {
  const { opensAt, closesAt } = nextOpening(windows, Date.parse(at));
  return [opensAt, closesAt].map((time) =>
    time === Infinity ? 'never' : new Date(time).toISOString().slice(0, 16),
  ) as [string, string];
}

describe('a maintenance window', () => {
  it('opens and closes by the clock of its time zone', () => {
    expect(opening([window('22:00', '23:30')], '2026-01-05T12:00Z')).toEqual([
      '2026-01-05T21:00',
      '2026-01-05T22:30',
    ]);
    expect(opening([window('22:00', '23:30')], '2026-07-05T12:00Z')).toEqual([
      '2026-07-05T20:00',
      '2026-07-05T21:30',
    ]);
  });

  it('that can never open is no window', () => {
    const at = Date.UTC(2026, 0);
    expect(() => nextOpening([window('22:00', '23:30', { days: [] })], at)).toThrow('needs a day');
    expect(() => nextOpening([window('late', '23:30')], at)).toThrow('A time of day is 22:00, not late.');
  });

  it('that is open opens at once', () => {
    expect(opening([window('22:00', '23:30')], '2026-01-05T21:47Z')).toEqual([
      '2026-01-05T21:47',
      '2026-01-05T22:30',
    ]);
  });

  it('past midnight belongs to the day on which it opens', () => {
    const friday = [window('22:00', '04:00', { days: ['fri'] })];
    expect(opening(friday, '2026-01-05T12:00Z')).toEqual(['2026-01-09T21:00', '2026-01-10T03:00']);
    expect(isOpen(friday, Date.parse('2026-01-10T02:59Z'))).toBe(true); // Saturday
    expect(isOpen(friday, Date.parse('2026-01-09T02:59Z'))).toBe(false); // Friday
  });

  it('may last the whole day', () => {
    const sunday = { days: ['sun'] as const };
    const whole = ['2026-01-10T23:00', '2026-01-11T23:00'];
    expect(opening([window('00:00', '24:00', sunday)], '2026-01-05T12:00Z')).toEqual(whole);
    expect(opening([window('00:00', '00:00', sunday)], '2026-01-05T12:00Z')).toEqual(whole);
  });

  it('joins another one that begins before it ends', () => {
    const both = [window('20:00', '22:00'), window('21:00', '23:00', { timeZone: 'Europe/London' })];
    expect(opening(both, '2026-01-05T12:00Z')).toEqual(['2026-01-05T19:00', '2026-01-05T23:00']);
  });

  it('that is not there restrains nothing', () => {
    expect(opening([], '2026-01-05T12:00Z')).toEqual(['2026-01-05T12:00', 'never']);
    expect(opening([window('00:00', '24:00')], '2026-01-05T12:00Z')).toEqual(['2026-01-05T12:00', 'never']);
  });

  it.each<[string, MaintenanceWindow, string, [string, string]]>([
    [
      'in an hour that is skipped stays closed until the next week',
      window('02:00', '03:00', { days: ['sun'] }),
      '2026-03-28T12:00Z',
      ['2026-04-05T00:00', '2026-04-05T01:00'],
    ],
    [
      'that begins in an hour that is skipped opens after it',
      window('02:30', '03:30'),
      '2026-03-28T12:00Z',
      ['2026-03-29T01:00', '2026-03-29T01:30'],
    ],
    [
      'over an hour that is skipped is an hour shorter',
      window('22:00', '04:00'),
      '2026-03-28T12:00Z',
      ['2026-03-28T21:00', '2026-03-29T02:00'],
    ],
    [
      'over an hour that comes twice is an hour longer',
      window('22:00', '04:00'),
      '2026-10-24T12:00Z',
      ['2026-10-24T20:00', '2026-10-25T03:00'],
    ],
    [
      'inside an hour that comes twice opens',
      window('02:15', '02:45'),
      '2026-10-25T00:00Z',
      ['2026-10-25T00:15', '2026-10-25T00:45'],
    ],
    [
      'inside an hour that comes twice opens once more',
      window('02:15', '02:45'),
      '2026-10-25T00:45Z',
      ['2026-10-25T01:15', '2026-10-25T01:45'],
    ],
  ])('%s', (_what, one, at, expected) => {
    expect(opening([one], at)).toEqual(expected);
  });

  it('says how long one may have to wait for it', () => {
    expect(longestClosedMs([window('22:00', '04:00')])).toBe(18 * hourMs);
    expect(longestClosedMs([window('22:00', '04:00', { days: ['fri'] })])).toBe(162 * hourMs);
    expect(longestClosedMs([])).toBe(0);
  });
});

/** The days around which clocks are put forward or back: by an hour, by half an hour, at midnight, and never. */
const changes: readonly (readonly [timeZone: string, day: string])[] = [
  ['Europe/Berlin', '2026-03-29'],
  ['Europe/Berlin', '2026-10-25'],
  ['America/New_York', '2026-03-08'],
  ['America/New_York', '2026-11-01'],
  ['Australia/Lord_Howe', '2026-04-05'],
  ['Australia/Lord_Howe', '2026-10-04'],
  ['America/Santiago', '2026-04-05'],
  ['America/Santiago', '2026-09-06'],
  ['Africa/Cairo', '2026-04-24'],
  ['Africa/Cairo', '2026-10-30'],
  ['Pacific/Chatham', '2026-09-27'],
  ['Asia/Kolkata', '2026-06-01'],
];

const time = fc.integer({ min: 0, max: 24 * 4 - 1 }).map((quarters) => {
  const [hours, minutes] = [Math.floor(quarters / 4), (quarters % 4) * 15];
  return `${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`;
});

const days = fc.subarray([...weekdays], { minLength: 1 });

/** Windows beside a change of clocks, and a moment up to two days before it. */
const situations = fc.constantFrom(...changes).chain(([timeZone, day]) =>
  fc.record({
    windows: fc.array(
      fc.record({
        days,
        from: time,
        to: time,
        timeZone: fc.oneof(
          { weight: 3, arbitrary: fc.constant(timeZone) },
          { weight: 1, arbitrary: fc.constantFrom(...changes.map(([zone]) => zone)) },
        ),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    at: fc
      .integer({ min: -48 * 60 * 60, max: 24 * 60 * 60 })
      .map((seconds) => Date.parse(`${day}T00:00Z`) + seconds * 1_000),
  }),
);

const shown = new Map<string, Intl.DateTimeFormat>();

/** What somebody sees who looks at a clock and a calendar there: `Fri 22:15`. */
function look(timeZone: string, at: number): { weekday: Weekday; time: string } {
  let format = shown.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
    });
    shown.set(timeZone, format);
  }
  const [weekday = '', clock = ''] = format.format(at).split(/,? /);
  return { weekday: weekday.toLowerCase() as Weekday, time: clock };
}

function isInside({ days: opensOn, from, to, timeZone }: MaintenanceWindow, at: number): boolean {
  const { weekday, time: clock } = look(timeZone, at);
  const dayBefore = weekdays[(weekdays.indexOf(weekday) + 6) % 7] ?? 'sun';
  if (from < to) return opensOn.includes(weekday) && from <= clock && clock < to;
  return (opensOn.includes(weekday) && from <= clock) || (opensOn.includes(dayBefore) && clock < to);
}

/** The first minute from `at` on, or `at` itself, at which one of the windows is open, or all are closed. */
function scan(windows: readonly MaintenanceWindow[], at: number, wanted: boolean): number {
  const last = at + 15 * 24 * hourMs;
  const isWanted = (moment: number) => windows.some((one) => isInside(one, moment)) === wanted;
  if (isWanted(at)) return at;
  for (let moment = at - (at % minuteMs) + minuteMs; moment < last; moment += minuteMs) {
    if (isWanted(moment)) return moment;
  }
  return Infinity;
}

describe('whatever the windows and the zone', () => {
  it('the next opening is the one that a watch over every minute finds', () => {
    fc.assert(
      fc.property(situations, ({ windows, at }) => {
        const opensAt = scan(windows, at, true);
        const closesAt = scan(windows, opensAt, false);
        const week = closesAt - opensAt > 7 * 24 * hourMs;
        expect(nextOpening(windows, at)).toEqual({ opensAt, closesAt: week ? Infinity : closesAt });
        expect(isOpen(windows, at)).toBe(opensAt === at);
      }),
      { numRuns: 200 },
    );
  });
});
