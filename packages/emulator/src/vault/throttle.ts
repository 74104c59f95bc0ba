import type { Operation } from './operations.ts';
import { throttled } from './refusals.ts';

// https://learn.microsoft.com/azure/key-vault/general/service-limits: a vault takes 300 new secrets and 4,000
// other calls in 10 seconds.
const windowMs = 10_000;
const limits = { creates: 300, others: 4_000 };

/** Refuses a call of a vault that gets more of them than the service allows. */
export function createThrottle(now: () => Date): (operation: Operation) => void {
  let windowStart = -Infinity;
  let left = { ...limits };
  return (operation) => {
    const time = now().getTime();
    if (time - windowStart >= windowMs || time < windowStart) {
      windowStart = time;
      left = { ...limits };
    }
    const kind = operation === 'setSecret' ? 'creates' : 'others';
    if (left[kind] === 0) throw throttled();
    left[kind] -= 1;
  };
}

export const noThrottle = (): void => {};
