import type { Clock } from '../clock.ts';
import type { Phase, ReportEvent } from '../events.ts';
import { toJournalError } from './journal-error.ts';

const firstDelayMs = 250;
const longestDelayMs = 30_000;

/**
 * Tries an action again, with growing delays, as long as it fails for a reason that may pass by itself: for `forMs`
 * from its first failure on. Whatever it throws in the end is fit for the journal.
 */
export async function withRetries<T>(
  action: () => Promise<T>,
  at: { phase: Phase; forMs: number; clock: Clock; report: ReportEvent },
): Promise<T> {
  const { phase, forMs, clock, report } = at;
  let giveUpAt: number | undefined;
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(2 * delayMs, longestDelayMs)) {
    try {
      return await action();
    } catch (error) {
      const failure = toJournalError(error);
      giveUpAt ??= clock.now() + forMs;
      if (!failure.passing || clock.now() + delayMs > giveUpAt) throw failure;
      const { message, hint } = failure;
      report({
        kind: 'retrying',
        phase,
        message,
        nextInMs: delayMs,
        ...(hint === undefined ? {} : { hint }),
      });
      await clock.sleep(delayMs);
    }
  }
}
