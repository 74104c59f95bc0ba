import { leadMs } from './due.ts';
import { spanInWords } from './in-words.ts';
import { overlapMs } from './overlap.ts';
import type { SecretPolicy } from './secret-policy.ts';
import { longestClosedMs } from './window.ts';

type TimingPolicy = Pick<
  SecretPolicy,
  'windows' | 'everyMs' | 'validityMs' | 'consumers' | 'clockSkewMs' | 'overlapMs'
>;

/** The arithmetic in words, if a version that has come due could expire before a window opens. */
export function windowsTooRare(policy: TimingPolicy): string | undefined {
  const closedMs = longestClosedMs(policy.windows ?? []);
  const lead = leadMs(policy);
  if (closedMs === 0 || closedMs + overlapMs(policy) <= lead) return undefined;
  return (
    `they are closed for up to ${spanInWords(closedMs)} and the overlap lasts ${spanInWords(overlapMs(policy))}, but ` +
    `a version valid for ${spanInWords(policy.validityMs)} is due ${spanInWords(Math.max(0, lead))} before its expiry`
  );
}
