const firstMs = 60_000;
const longestMs = 6 * 3_600_000;

/**
 * How long to wait before a secret that has failed so many times in a row is tried again, milliseconds: growing, at
 * most six hours, and anything between half of that and all of it, so that what failed together is not tried together.
 */
export function retryInMs(failures: number, random: () => number): number {
  const longest = Math.min(firstMs * 2 ** (failures - 1), longestMs);
  return Math.round(longest * (0.5 + random() / 2));
}
