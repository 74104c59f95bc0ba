import type { Clock } from '../clock.ts';

const everyMs = 3_600_000;
/** So many at once, so that no statement takes long. */
const batch = 200;

/** Forgets once an hour what ended longer ago than `keepMs`. Returns what stops it. */
export function keepPruning(at: {
  readonly keepMs: number;
  readonly clock: Clock;
  /** From 0 up to 1: replicas don't do it all at once. */
  readonly random: () => number;
  /** Drops what ended before a moment (ISO 8601), so many at most; returns how many it dropped. */
  readonly prune: (endedBefore: string, limit: number) => Promise<number>;
  readonly failed: (error: unknown) => void;
}): () => void {
  const { keepMs, clock, random, prune, failed } = at;
  let stopped = false;

  async function pruneAll(): Promise<void> {
    const endedBefore = new Date(clock.now() - keepMs).toISOString();
    while (!stopped && (await prune(endedBefore, batch)) === batch);
  }

  async function work(): Promise<void> {
    for (;;) {
      await clock.sleep(everyMs * (0.5 + random()));
      if (stopped) return;
      await pruneAll().catch((error: unknown) => {
        if (!stopped) failed(error); // the next hour tries again
      });
    }
  }
  void work();
  return () => {
    stopped = true;
  };
}
