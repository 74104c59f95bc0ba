import type { Course } from './course.ts';
import { instanceRows, phaseBar } from './report-rotation.ts';
import { escapeHtml, inSeconds, plot, round, type X } from './svg.ts';
import { buckets, totals, type Bucket } from './timeline.ts';

const lane = { served: 46, failed: 46, gap: 26, top: 46 } as const;
const bucketChoicesMs = [100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
const tickChoicesMs = [500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 300_000, 600_000];

/** The three time lines, the overlap window, the adoptions and the phases as one SVG. */
export function courseChart(course: Course): string {
  const x: X = (ms) => round(plot.left + (ms / Math.max(1, course.nowMs)) * (plot.right - plot.left));
  const laneHeight = lane.served + lane.failed + lane.gap;
  const lanesBottom = lane.top + course.contenders.length * laneHeight;

  const bucketMs = firstFitting(bucketChoicesMs, course.nowMs / 90);
  const counted = course.contenders.map(({ samples }) =>
    buckets(samples, { fromMs: 0, toMs: course.nowMs, bucketMs }),
  );
  const most = Math.max(1, ...counted.flat().flatMap(({ served, failed }) => [served, failed]));
  const lanes = course.contenders.map((contender, index) => {
    const top = lane.top + index * laneHeight + lane.gap;
    const isKeyturn = contender.name === 'keyturn';
    return [
      isKeyturn ? overlapWindow(course, x, top) : '',
      laneName(contender, top + lane.served),
      bars(counted[index] ?? [], { x, bucketMs, most, baseline: top + lane.served, endMs: course.nowMs }),
    ].join('\n');
  });

  const axis = timeAxis(course.nowMs, x, { top: lane.top + 8, bottom: lanesBottom + 6 });
  const adoptions = instanceRows(course, x, lanesBottom + 58);
  const phases = phaseBar(course, x, lanesBottom + 58 + adoptions.height + 22);
  const height = lanesBottom + 58 + adoptions.height + 22 + phases.height + 8;

  return `<svg class="chart" role="img" aria-labelledby="chart-title chart-desc" viewBox="0 0 ${plot.width} ${height}" xmlns="http://www.w3.org/2000/svg">
<title id="chart-title">Served and failed requests of the ${course.contenders.length} contenders over ${inSeconds(course.nowMs)}</title>
<desc id="chart-desc">${escapeHtml(description(course))}</desc>
<defs><pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-ground" width="4" height="4"/><rect class="hatch-line" width="1.2" height="4"/></pattern></defs>
${axis}
${lanes.join('\n')}
${rotatedMarker(course, x, lanesBottom + 6)}
${adoptions.svg}
${phases.svg}
</svg>`;
}

function bars(
  counts: readonly Bucket[],
  at: { x: X; bucketMs: number; most: number; baseline: number; endMs: number },
): string {
  const { x, bucketMs, most, baseline, endMs } = at;
  const bar = (name: 'served' | 'failed', { fromMs, [name]: count }: Bucket) => {
    if (count === 0) return '';
    const height = round((count / most) * lane[name]);
    const width = round(Math.max(1, x(Math.min(endMs, fromMs + bucketMs)) - x(fromMs) - 1.2));
    const y = name === 'served' ? round(baseline - height - 0.5) : baseline + 0.5;
    return `<rect class="${name}" x="${x(fromMs)}" y="${y}" width="${width}" height="${height}"/>`;
  };
  return [
    ...counts.flatMap((count) => [bar('served', count), bar('failed', count)]),
    `<line class="baseline" x1="${plot.left}" x2="${plot.right}" y1="${baseline}" y2="${baseline}"/>`,
  ].join('');
}

function laneName({ name, samples }: Course['contenders'][number], baseline: number): string {
  const { requests, failed } = totals(samples);
  const verdict = failed === 0 ? 'none-failed' : 'some-failed';
  return `<text class="lane-name" x="0" y="${baseline - 10}">${escapeHtml(name)}</text>
<text class="lane-total ${verdict}" x="0" y="${baseline + 10}">${failed} of ${requests} failed</text>`;
}

/** The band over keyturn's lane in which both credentials authenticate, its length written above it. */
function overlapWindow({ rotation, nowMs }: Course, x: X, top: number): string {
  const { publishedMs, revokedMs } = rotation;
  if (publishedMs === undefined) return '';
  const endMs = revokedMs ?? nowMs;
  const [from, to] = [x(publishedMs), x(endMs)];
  const text = `overlap window ${inSeconds(endMs - publishedMs)}`;
  // 6.6 units a character is on the safe side for the system's sans-serif at this size.
  const at = Math.max(plot.left, Math.min(from + 6, plot.right - text.length * 6.6));
  return `<rect class="overlap" x="${from}" y="${top - 18}" width="${round(to - from)}" height="${lane.served + lane.failed + 18}"/>
<text class="overlap-label" x="${round(at)}" y="${top - 5}">${text}</text>`;
}

function rotatedMarker({ rotatedAtMs }: Course, x: X, bottom: number): string {
  if (rotatedAtMs === undefined) return '';
  const at = x(rotatedAtMs);
  const labelAt = Math.max(plot.left + 58, Math.min(at, plot.right - 58));
  return `<line class="rotated" x1="${at}" x2="${at}" y1="30" y2="${bottom}"/>
<text class="rotated-label" x="${labelAt}" y="20">all three rotated</text>
<path class="rotated-head" d="M${at - 4.5} 26h9l-4.5 7z"/>`;
}

function timeAxis(nowMs: number, x: X, { top, bottom }: { top: number; bottom: number }): string {
  const stepMs = firstFitting(tickChoicesMs, nowMs / 12);
  const ticks = Array.from({ length: Math.floor(nowMs / stepMs) + 1 }, (_, index) => index * stepMs);
  return ticks
    .map(
      (ms) =>
        `<line class="grid" x1="${x(ms)}" x2="${x(ms)}" y1="${top}" y2="${bottom}"/><text class="tick" x="${x(ms)}" y="${bottom + 15}">${ms / 1000} s</text>`,
    )
    .join('\n');
}

function description({ contenders, rotation, nowMs, rotatedAtMs }: Course): string {
  const lines = contenders.map(({ name, samples }) => {
    const { requests, failed } = totals(samples);
    return `${name}: ${failed} of ${requests} requests failed.`;
  });
  if (rotatedAtMs !== undefined) lines.push(`All three were rotated at ${inSeconds(rotatedAtMs)}.`);
  const { publishedMs, revokedMs } = rotation;
  if (publishedMs !== undefined) {
    lines.push(
      `The overlap window of keyturn lasted from ${inSeconds(publishedMs)} to ${inSeconds(revokedMs ?? nowMs)}.`,
    );
  }
  return lines.join(' ');
}

function firstFitting(choices: readonly number[], atLeast: number): number {
  return choices.find((choice) => choice >= atLeast) ?? Math.ceil(atLeast);
}
