import { nextWallTime, wallClock } from './wall-clock.ts';

/** As JavaScript counts the days of the week. */
export const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
export type Weekday = (typeof weekdays)[number];

/**
 * Times at which a rotation may start. It is open whenever a clock on the wall in `timeZone` shows a time inside:
 * an hour that is skipped in spring does not open it, one that is shown twice in autumn opens it twice. Its close
 * ends no rotation; it only restrains starts.
 */
export interface MaintenanceWindow {
  /** The days on which it opens; past midnight it stays open on the day after. */
  readonly days: readonly Weekday[];
  /** `22:00` */
  readonly from: string;
  /** `04:00`, `24:00`; not later than `from` means on the day after. */
  readonly to: string;
  /** IANA name: `Europe/Berlin`. */
  readonly timeZone: string;
}

/** Milliseconds since 1970. */
export interface Opening {
  readonly opensAt: number;
  /** The first moment at which it is closed again; `Infinity` if that is more than a week away. */
  readonly closesAt: number;
}

const dayMs = 86_400_000;
const weekMs = 7 * dayMs;

/** Is one of the windows open? Without any window it is always open. */
export function isOpen(windows: readonly MaintenanceWindow[], at: number): boolean {
  return windows.length === 0 || windows.some((window) => isOneOpen(window, at));
}

/** The first moment from `at` on at which one of the windows is open, and until when one is without a break. */
export function nextOpening(windows: readonly MaintenanceWindow[], at: number): Opening {
  let opensAt = at;
  while (!isOpen(windows, opensAt)) opensAt = nextChange(windows, opensAt);
  let closesAt = opensAt;
  while (isOpen(windows, closesAt)) {
    if (closesAt - opensAt > weekMs) return { opensAt, closesAt: Infinity };
    closesAt = nextChange(windows, closesAt);
  }
  return { opensAt, closesAt };
}

/** The longest time that one has to wait for the windows to open, in a week without a change of clocks. */
export function longestClosedMs(windows: readonly MaintenanceWindow[]): number {
  const start = Date.UTC(2026, 0, 1);
  let longest = 0;
  let closedSince = nextOpening(windows, start).closesAt;
  while (closedSince < start + 2 * weekMs) {
    const { opensAt, closesAt } = nextOpening(windows, closedSince);
    longest = Math.max(longest, opensAt - closedSince);
    closedSince = closesAt;
  }
  return longest;
}

function isOneOpen(window: MaintenanceWindow, at: number): boolean {
  const wall = wallClock(window.timeZone, at);
  const today = Math.floor(wall / dayMs);
  const { opens, closes } = timesOf(window);
  return [today - 1, today].some(
    (day) => opensOn(window, day) && wall >= day * dayMs + opens && wall < day * dayMs + closes,
  );
}

/** Not before then may any window open or close. */
function nextChange(windows: readonly MaintenanceWindow[], at: number): number {
  return Math.min(...windows.map((window) => nextEdge(window, at)));
}

function nextEdge(window: MaintenanceWindow, at: number): number {
  const wall = wallClock(window.timeZone, at);
  const today = Math.floor(wall / dayMs);
  const { opens, closes } = timesOf(window);
  const days = Array.from({ length: 9 }, (_, ahead) => today - 1 + ahead);
  const edges = days
    .filter((day) => opensOn(window, day))
    .flatMap((day) => [day * dayMs + opens, day * dayMs + closes])
    .filter((edge) => edge > wall);
  if (edges.length === 0) throw new RangeError('A maintenance window needs a day on which it opens.');
  return nextWallTime(window.timeZone, at, Math.min(...edges));
}

/** Day 0, the first of 1970, was a Thursday. */
function opensOn({ days }: MaintenanceWindow, day: number): boolean {
  const weekday = weekdays[(day + 4) % 7];
  return weekday !== undefined && days.includes(weekday);
}

/** Both since the midnight of the day on which it opens. */
function timesOf({ from, to }: MaintenanceWindow): { readonly opens: number; readonly closes: number } {
  const [opens, closes] = [sinceMidnightMs(from), sinceMidnightMs(to)];
  return { opens, closes: closes > opens ? closes : closes + dayMs };
}

function sinceMidnightMs(time: string): number {
  const [hours = Number.NaN, minutes = Number.NaN] = time.split(':').map(Number);
  if (Number.isNaN(hours + minutes)) throw new RangeError(`A time of day is 22:00, not ${time}.`);
  return (hours * 60 + minutes) * 60_000;
}
