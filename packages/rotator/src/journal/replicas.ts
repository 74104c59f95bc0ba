import type { Clock } from '../clock.ts';
import type { ExecutorLock } from './executor-lock.ts';

const lookEveryMs = 2_000;

/**
 * Counts this rotator among those that live on one vault, and tells how many they are: now, and whenever that has
 * changed. While the database is away the last count stands. Returns what stops it.
 */
export async function countReplicas(at: {
  readonly vault: string;
  readonly lock: Pick<ExecutorLock, 'join'>;
  readonly clock: Clock;
  readonly counted: (live: number) => void;
}): Promise<() => void> {
  const { vault, lock, clock, counted } = at;
  let stopped = false;
  const members = await lock.join(`rotators of ${vault}`);
  let last = 0;

  async function look(): Promise<void> {
    const live = await members();
    if (live !== last) counted(live);
    last = live;
  }

  async function watch(): Promise<void> {
    while (!stopped) {
      await clock.sleep(lookEveryMs);
      if (!stopped) await look().catch(() => undefined);
    }
  }

  await look();
  void watch();
  return () => {
    stopped = true;
  };
}
