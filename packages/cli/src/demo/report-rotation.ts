import type { Course, RotationCourse } from './course.ts';
import { shortVersion } from './drawing-rotation.ts';
import { spread } from './spread.ts';
import { escapeHtml, inSeconds, plot, round, type Part, type X } from './svg.ts';

const rowHeight = 27;

/** One thin bar an instance: the old version until it adopted the new one, then the new one. */
export function instanceRows({ contenders, rotation, nowMs }: Course, x: X, top: number): Part {
  const instances = contenders.find(({ name }) => name === 'keyturn')?.instances ?? [];
  const rows = instances.map((instance, index) => {
    const y = top + 6 + index * rowHeight;
    const adoption = rotation.adoptions.find((one) => one.instance === instance);
    const until = x(adoption?.atMs ?? nowMs);
    return [
      `<text class="row-name" x="0" y="${y + 4}">${escapeHtml(instance)}</text>`,
      `<rect class="old-version" x="${plot.left}" y="${y - 3}" width="${round(until - plot.left)}" height="6"/>`,
      adoption ? adopted(adoption, { x, y, rotation }) : '',
    ].join('');
  });
  return { svg: rows.join('\n'), height: instances.length * rowHeight };
}

function adopted(
  { version, atMs }: RotationCourse['adoptions'][number],
  { x, y, rotation }: { x: X; y: number; rotation: RotationCourse },
): string {
  const at = x(atMs);
  const after =
    rotation.publishedMs === undefined ? '' : `, ${inSeconds(atMs - rotation.publishedMs)} after publishing`;
  const text = `adopted ${shortVersion(version)}${after}`;
  const roomRight = plot.right - at - 12 > text.length * 6.4;
  return [
    `<rect class="new-version" x="${at}" y="${y - 3}" width="${round(plot.right - at)}" height="6"/>`,
    `<line class="adoption" x1="${at}" x2="${at}" y1="${y - 16}" y2="${y + 5}"/>`,
    `<text class="adoption-label" x="${roomRight ? round(at + 6) : round(at - 6)}" y="${y - 7}"${roomRight ? '' : ' text-anchor="end"'}>${escapeHtml(text)}</text>`,
  ].join('');
}

/**
 * The phases to scale, their names below with a line to where each belongs: most phases are far shorter than
 * their names are wide.
 */
export function phaseBar({ rotation, nowMs }: Course, x: X, top: number): Part {
  const phases = joined(rotation.phases, nowMs);
  if (phases.length === 0) return { svg: '', height: 0 };
  const labels = phases.map(({ name, startMs, endMs, open }) => {
    const length = open ? `${inMs(endMs - startMs)} so far` : inMs(endMs - startMs);
    const width = Math.max(name.length * 7, length.length * 6.4) + 14;
    return { name, length, width, centre: x((startMs + endMs) / 2) };
  });
  const room = plot.right - plot.left;
  const rowCount = Math.ceil(labels.reduce((sum, { width }) => sum + width, 0) / room);
  // Every n-th label goes to the same row, so that the neighbours, which compete for one place, part.
  const rows = Array.from({ length: rowCount }, (_, row) =>
    labels.filter((_label, i) => i % rowCount === row),
  );
  const texts = rows.flatMap((row, index) => {
    const centres = spread(row, { from: plot.left, to: plot.right });
    const y = top + 54 + index * 38;
    return row.map(({ name, length, centre }, position) => {
      const at = round(centres[position] ?? centre);
      return `<path class="leader" d="M${round(centre)} ${top + 8}V${top + 14}L${at} ${y - 20}V${y - 13}"/>
<text class="phase-name" x="${at}" y="${y}">${escapeHtml(name)}</text>
<text class="phase-length" x="${at}" y="${y + 15}">${length}</text>`;
    });
  });
  const segments = phases.map(({ name, startMs, endMs }, index) => {
    const width = Math.max(1.5, x(endMs) - x(startMs));
    const tone = name === 'converge' ? 'waiting' : index % 2 === 0 ? 'even' : 'odd';
    return `<rect class="phase ${tone}" x="${x(startMs)}" y="${top - 6}" width="${round(width)}" height="14"/>`;
  });
  const name = `<text class="row-name" x="0" y="${top + 5}">phases of the rotation</text>`;
  const track = `<rect class="track" x="${plot.left}" y="${top - 6}" width="${room}" height="14"/>`;
  return { svg: [name, track, ...segments, ...texts].join('\n'), height: 36 + rowCount * 38 };
}

/** A phase that was begun again right after itself (a retry, a long wait in slices) is one phase to a reader. */
function joined(phases: RotationCourse['phases'], nowMs: number) {
  const result: { name: string; startMs: number; endMs: number; open: boolean }[] = [];
  for (const { name, startMs, endMs } of phases) {
    const last = result.at(-1);
    const end = { endMs: endMs ?? nowMs, open: endMs === undefined };
    if (last?.name === name) Object.assign(last, end);
    else result.push({ name, startMs, ...end });
  }
  return result;
}

function inMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : inSeconds(ms);
}
