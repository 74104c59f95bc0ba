import type { KillPoint } from './protocol.ts';

/**
 * The kill points of a rotation: both sides of every call that leaves the process. While it converges it makes
 * the same few calls over and over; the first of each kind stands for all.
 */
export function killPoints(calls: readonly string[]): KillPoint[] {
  const distinct = new Set(calls.filter((call) => !call.startsWith('converge:') || call.endsWith(' #1')));
  return [...distinct].flatMap((call) => [
    { call, moment: 'before' as const },
    { call, moment: 'after' as const },
  ]);
}
