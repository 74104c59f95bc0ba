import type { SecretPolicy } from './secret-policy.ts';

/**
 * The shortest overlap window that is safe: every consumer has had two lifetimes of its cache, and clocks may
 * differ. Two, because a read may have begun just before the publication and be cached when it ends.
 */
export function shortestOverlapMs(policy: Pick<SecretPolicy, 'consumers' | 'clockSkewMs'>): number {
  return 2 * slowestTtlMs(policy) + policy.clockSkewMs;
}

/** The overlap window that a rotation keeps at least. */
export function overlapMs(policy: Pick<SecretPolicy, 'consumers' | 'clockSkewMs' | 'overlapMs'>): number {
  return Math.max(shortestOverlapMs(policy), policy.overlapMs ?? 0);
}

/** The shortest safe overlap as a sum that a person can check. */
export function overlapArithmetic(policy: Pick<SecretPolicy, 'consumers' | 'clockSkewMs'>): string {
  return (
    `2 × ${slowestTtlMs(policy) / 1000} s (the slowest consumer's TTL) + ${policy.clockSkewMs / 1000} s ` +
    `(clock skew) = ${shortestOverlapMs(policy) / 1000} s`
  );
}

/** The arithmetic in words, for whoever asked for less; undefined if the policy's overlap is long enough. */
export function overlapTooShort(
  policy: Pick<SecretPolicy, 'consumers' | 'clockSkewMs' | 'overlapMs'>,
): string | undefined {
  const shortest = shortestOverlapMs(policy);
  if (policy.overlapMs === undefined || policy.overlapMs >= shortest) return undefined;
  return `an overlap of ${policy.overlapMs / 1000} s is shorter than the shortest safe one: ${overlapArithmetic(policy)}`;
}

function slowestTtlMs(policy: Pick<SecretPolicy, 'consumers'>): number {
  return Math.max(0, ...policy.consumers.map((consumer) => consumer.ttlMs));
}
