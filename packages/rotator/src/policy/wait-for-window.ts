import { momentInWords, spanInWords } from './in-words.ts';
import { opensAt } from './opens-at.ts';
import { overlapMs } from './overlap.ts';
import type { SecretPolicy } from './secret-policy.ts';

/** What a start outside of the maintenance windows has before it. */
export interface WindowWait {
  /** Milliseconds since 1970. */
  readonly opensAt: number;
  /** True if waiting could cost the expiry: then nothing waits. */
  readonly isTooLate: boolean;
  /** In plain words, with the moments. */
  readonly because: string;
}

/**
 * Undefined while a window is open, or where there is none. A window restrains; it never lets a secret expire: the new
 * version has to be published so long before the expiry that the overlap fits between.
 */
export function waitForWindow(of: {
  readonly policy: SecretPolicy;
  /** The expiry of the version that would be replaced, if it has one. */
  readonly expiresAt: number | undefined;
  /** When it would start if there were no windows. */
  readonly at: number;
}): WindowWait | undefined {
  const { policy, expiresAt = Infinity, at } = of;
  const openAt = opensAt(policy.windows ?? [], at);
  if (openAt === at) return undefined;
  const opens = `the maintenance window that opens at ${momentInWords(openAt)}`;
  const neededMs = overlapMs(policy);
  if (openAt + neededMs <= expiresAt)
    return { opensAt: openAt, isTooLate: false, because: `it waits for ${opens}` };
  const needs = `the expiry at ${momentInWords(expiresAt)} and an overlap of ${spanInWords(neededMs)} before it`;
  return {
    opensAt: openAt,
    isTooLate: true,
    because: `it does not wait for ${opens}, too late for ${needs}`,
  };
}
