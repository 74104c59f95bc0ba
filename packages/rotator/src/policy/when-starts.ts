import { whenDue, type Due, type DueFacts } from './due.ts';
import { opensAt } from './opens-at.ts';
import { waitForWindow } from './wait-for-window.ts';

export interface WhenStartsFacts extends DueFacts {
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * When the schedule starts a secret: when it is due, or at the first opening of a maintenance window from then on. It
 * follows from the vault and the clock alone, so a restart loses nothing and every replica finds the same.
 */
export function whenStarts(facts: WhenStartsFacts): Due | undefined {
  const { policy, expiresAt, now } = facts;
  const due = whenDue(facts);
  const wait = due && waitForWindow({ policy, expiresAt, at: Math.max(due.at, now) });
  if (!wait) return due;
  return { at: wait.isTooLate ? due.at : wait.opensAt, because: `${due.because}; ${wait.because}` };
}

/** Why an event starts nothing now: the schedule is sure to, later. Undefined if the event has to. */
export function whyItWaits(facts: WhenStartsFacts): string | undefined {
  const { policy, now } = facts;
  if (opensAt(policy.windows ?? [], now) === now) return undefined;
  const starts = whenStarts(facts);
  return starts && starts.at > now ? starts.because : undefined;
}
