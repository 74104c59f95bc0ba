import type { Sample } from './course.ts';

/** What became of the requests in one stretch of time. */
export interface Bucket {
  readonly fromMs: number;
  readonly served: number;
  readonly failed: number;
}

/** A stretch of time, in the milliseconds of the course. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Counts requests per stretch of `bucketMs` from `fromMs` until before `toMs`; the last stretch may reach beyond it. */
export function buckets(
  samples: readonly Sample[],
  { fromMs, toMs, bucketMs }: Interval & { readonly bucketMs: number },
): readonly Bucket[] {
  const counts = Array.from({ length: Math.max(0, Math.ceil((toMs - fromMs) / bucketMs)) }, (_, index) => ({
    fromMs: fromMs + index * bucketMs,
    served: 0,
    failed: 0,
  }));
  for (const { atMs, ok } of samples) {
    if (atMs >= toMs) continue;
    const bucket = counts[Math.floor((atMs - fromMs) / bucketMs)];
    if (bucket) bucket[ok ? 'served' : 'failed'] += 1;
  }
  return counts;
}

export function totals(samples: readonly Sample[]): {
  readonly requests: number;
  readonly served: number;
  readonly failed: number;
} {
  const failed = samples.filter(({ ok }) => !ok).length;
  return { requests: samples.length, served: samples.length - failed, failed };
}

/**
 * When at least one instance was failing: from a failed request to the next success of the same instance, or to
 * `toMs` if there was none. Stretches of different instances that touch are one.
 */
export function outages(samples: readonly Sample[], toMs: number): readonly Interval[] {
  const stretches = [...byInstance(samples).values()].flatMap((own) => failingStretches(own, toMs));
  const merged: { fromMs: number; toMs: number }[] = [];
  for (const stretch of stretches.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = merged.at(-1);
    if (last && stretch.fromMs <= last.toMs) last.toMs = Math.max(last.toMs, stretch.toMs);
    else merged.push({ ...stretch });
  }
  return merged;
}

/** How long at least one instance was failing, milliseconds. */
export function outageMs(samples: readonly Sample[], toMs: number): number {
  return outages(samples, toMs).reduce((sum, stretch) => sum + stretch.toMs - stretch.fromMs, 0);
}

/** The instances whose latest request failed. */
export function failingNow(samples: readonly Sample[]): readonly string[] {
  return [...byInstance(samples)].filter(([, own]) => own.at(-1)?.ok === false).map(([instance]) => instance);
}

function failingStretches(own: readonly Sample[], endMs: number): readonly Interval[] {
  const stretches: Interval[] = [];
  let sinceMs: number | undefined;
  for (const { atMs, ok } of own) {
    if (atMs > endMs) break;
    if (!ok) sinceMs ??= atMs;
    else if (sinceMs !== undefined) {
      stretches.push({ fromMs: sinceMs, toMs: atMs });
      sinceMs = undefined;
    }
  }
  if (sinceMs !== undefined) stretches.push({ fromMs: sinceMs, toMs: endMs });
  return stretches;
}

/** Samples arrive when requests end, so those of one instance may be slightly out of order. */
function byInstance(samples: readonly Sample[]): ReadonlyMap<string, readonly Sample[]> {
  const grouped = Map.groupBy(samples, ({ instance }) => instance);
  for (const own of grouped.values()) own.sort((a, b) => a.atMs - b.atMs);
  return grouped;
}
