const formats = new Map<string, Intl.DateTimeFormat>();

/** Throws a `RangeError` for a time zone that there is none of. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(timeZone, format);
  return format;
}

export function isTimeZone(timeZone: string): boolean {
  try {
    formatOf(timeZone);
    return true;
  } catch {
    return false;
  }
}

/** What a clock on the wall shows there, as milliseconds since 1970 *by that clock*. */
export function wallClock(timeZone: string, at: number): number {
  return at + stretchOf(timeZone, at).offsetMs;
}

/** When the clock on the wall shows the time `wall`; or the next change of clocks, if one may come before. */
export function nextWallTime(timeZone: string, at: number, wall: number): number {
  const { offsetMs, until } = stretchOf(timeZone, at);
  return Math.min(wall - offsetMs, until);
}

/** A stretch of time in which the clocks of a zone are not changed. */
interface Stretch {
  readonly from: number;
  readonly until: number;
  readonly offsetMs: number;
}

/** Asking `Intl` takes long, and ten thousand secrets may wait for windows: what it said is remembered. */
const stretches = new Map<string, Stretch[]>();

function stretchOf(timeZone: string, at: number): Stretch {
  const known = stretches.get(timeZone) ?? [];
  const found = known.find(({ from, until }) => from <= at && at < until);
  if (found) return found;
  const offsetMs = measureOffset(timeZone, at);
  const isSame = (time: number) => measureOffset(timeZone, time) === offsetMs;
  const stretch = {
    from: lastSame(isSame, { at, stepMs: -weekMs }),
    until: lastSame(isSame, { at, stepMs: weekMs }) + 1,
    offsetMs,
  };
  stretches.set(timeZone, [...known, stretch]);
  return stretch;
}

const weekMs = 7 * 86_400_000;
const mostWeeks = 27;

/** The last moment that is the same, in half a year at most. No zone undoes a change within a week. */
function lastSame(isSame: (time: number) => boolean, of: { at: number; stepMs: number }): number {
  let same = of.at;
  for (let weeks = 0; weeks < mostWeeks; weeks += 1) {
    if (!isSame(same + of.stepMs)) return border(isSame, same, same + of.stepMs);
    same += of.stepMs;
  }
  return same;
}

function border(isSame: (time: number) => boolean, same: number, other: number): number {
  if (Math.abs(other - same) <= 1) return same;
  const middle = Math.trunc((same + other) / 2);
  return isSame(middle) ? border(isSame, middle, other) : border(isSame, same, middle);
}

function measureOffset(timeZone: string, at: number): number {
  const second = Math.floor(at / 1_000) * 1_000;
  const shown = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(second)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second: seconds = 0 } = shown;
  return Date.UTC(year, month - 1, day, hour, minute, seconds) - second;
}
