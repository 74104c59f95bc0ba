/**
 * How long to wait before attempt number `attempt` (the first repetition is 1), milliseconds: anywhere between
 * `firstMs` and a limit that doubles up to `maxMs`, so that a fleet that failed together does not return together.
 */
export function backoffMs(at: {
  readonly attempt: number;
  readonly random: () => number;
  readonly firstMs?: number;
  readonly maxMs?: number;
}): number {
  const { attempt, random, maxMs = 16_000 } = at;
  const firstMs = Math.min(at.firstMs ?? 1_000, maxMs);
  const limitMs = Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 30));
  return firstMs + random() * (limitMs - firstMs);
}
