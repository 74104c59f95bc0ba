import { contenderNames, type Course } from './course.ts';
import { phaseRow, standingRows } from './drawing-rotation.ts';
import { paint, styled, type Line, type Piece } from './styled-line.ts';
import { buckets, totals, type Bucket } from './timeline.ts';

const totalsWidth = 16;
/** A cell of a time line stands for one of these; the shortest that lets the whole course fit is taken. */
const cellChoicesMs = [500, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000, 600_000];
const tickChoicesMs = [5_000, 10_000, 15_000, 30_000, 60_000, 300_000, 3_600_000];

interface Scale {
  readonly nameWidth: number;
  readonly cells: number;
  readonly cellMs: number;
}

/** The whole screen as lines, none wider than `columns`, fewer than `rows`. */
export function drawScreen(
  course: Course,
  size: { readonly columns: number; readonly rows: number },
  colour: boolean,
): string[] {
  const scale = scaleOf(course, size.columns);
  const lines: readonly Line[] = [
    [
      styled('keyturn demo', 'bold'),
      styled(`  ${seconds(course.nowMs).padStart(6)}  `, 'cyan'),
      course.doing,
    ],
    [],
    legend(scale),
    ...contenderNames.map((name) => timeLine(course, name, scale)),
    overlapBracket(course, scale),
    rotatedMark(course, scale),
    [styled(ruler(scale), 'dim')],
    [],
    phaseRow(course, size.columns),
    [],
    ...standingRows(course, size.columns),
  ];
  // Blank lines are the first to go in a low window; what's lowest on the screen matters least.
  const shown = lines.length < size.rows ? lines : lines.filter((line) => line.length > 0);
  return shown.slice(0, Math.max(1, size.rows - 1)).map((line) => paint(line, { ...size, colour }));
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function scaleOf({ nowMs }: Course, columns: number): Scale {
  const nameWidth = columns >= 60 ? 22 : 12;
  const cells = Math.max(4, columns - nameWidth - totalsWidth);
  const cellMs = cellChoicesMs.find((choiceMs) => choiceMs * cells >= nowMs) ?? Math.ceil(nowMs / cells);
  return { nameWidth, cells, cellMs };
}

function legend({ nameWidth, cells }: Scale): Line {
  const long = ['▅ served  ', '▂ some failed  ', '✗ all failed'];
  const [served, partial, failed] = long.join('').length <= cells ? long : ['▅ ok ', '▂ some ', '✗ failed'];
  const text = `${served}${partial}${failed}`;
  if (text.length > cells) return [''.padEnd(nameWidth + cells), styled('  served  failed', 'dim')];
  return [
    ''.padEnd(nameWidth),
    styled(served ?? '', 'green'),
    styled(partial ?? '', 'yellow'),
    styled(failed ?? '', 'red'),
    ''.padEnd(cells - text.length),
    styled('  served  failed', 'dim'),
  ];
}

function timeLine({ contenders, nowMs }: Course, name: string, { nameWidth, cells, cellMs }: Scale): Line {
  const samples = contenders.find((contender) => contender.name === name)?.samples ?? [];
  const counts = buckets(samples, { fromMs: 0, toMs: nowMs, bucketMs: cellMs }).slice(0, cells);
  const { served, failed } = totals(samples);
  const label = name.length < nameWidth ? name : `${name.slice(0, nameWidth - 2)}…`;
  return [
    styled(label.padEnd(nameWidth), 'bold'),
    ...counts.map((count, index) => cell(count, index === counts.length - 1)),
    ''.padEnd(cells - counts.length),
    `${served}`.padStart(8),
    styled(`${failed}`.padStart(8), failed === 0 ? 'green' : 'red'),
  ];
}

function cell({ served, failed }: Bucket, isLast: boolean): Piece {
  // The newest cell has only just begun: no request yet is no gap.
  if (served + failed === 0) return isLast ? ' ' : styled('·', 'dim');
  if (failed === 0) return styled('▅', 'green');
  return served === 0 ? styled('✗', 'red') : styled('▂', 'yellow');
}

/** Under keyturn's time line: from the publishing of the new version to the revocation of the old credential. */
function overlapBracket({ rotation, nowMs }: Course, { nameWidth, cells, cellMs }: Scale): Line {
  const { publishedMs, revokedMs } = rotation;
  if (publishedMs === undefined) return [' '];
  const endMs = revokedMs ?? nowMs;
  const first = Math.min(cells - 1, Math.floor(publishedMs / cellMs));
  const last = Math.min(cells - 1, Math.max(first, Math.floor(endMs / cellMs)));
  const label = ` overlap window ${seconds(endMs - publishedMs)} `;
  const end = revokedMs === undefined ? '╶' : '┤';
  const inner = Math.max(0, last - first - 1);
  if (inner >= label.length) {
    const bar = `├${label.padStart(label.length + Math.floor((inner - label.length) / 2), '─').padEnd(inner, '─')}${end}`;
    return [''.padEnd(nameWidth + first), styled(bar, 'cyan')];
  }
  const bar = last === first ? '│' : `├${'─'.repeat(inner)}${end}`;
  return [''.padEnd(nameWidth), styled(beside(bar, label, { at: first, cells }), 'cyan')];
}

function rotatedMark({ rotatedAtMs }: Course, { nameWidth, cells, cellMs }: Scale): Line {
  if (rotatedAtMs === undefined) return [' '];
  const at = Math.min(cells - 1, Math.floor(rotatedAtMs / cellMs));
  const mark = beside('▲', ` all three rotated `, { at, cells });
  return [''.padEnd(nameWidth), styled(mark, 'yellow')];
}

/** A mark that begins at a cell, with its label on the side where there is room, the right one first. */
function beside(mark: string, label: string, { at, cells }: { at: number; cells: number }): string {
  const right = label.trimEnd();
  if (at + mark.length + right.length <= cells + totalsWidth) return `${''.padEnd(at)}${mark}${right}`;
  const left = label.trimStart();
  return at >= left.length ? `${left.padStart(at)}${mark}` : `${''.padEnd(at)}${mark}`;
}

function ruler({ nameWidth, cells, cellMs }: Scale): string {
  const stepMs = tickChoicesMs.find((choiceMs) => choiceMs / cellMs >= 8) ?? cellMs * 10;
  let line = '';
  for (let atMs = 0; ; atMs += stepMs) {
    const at = Math.floor(atMs / cellMs);
    const label = `╵${atMs / 1000} s`;
    if (at + label.length > cells) return `${''.padEnd(nameWidth)}${line}`;
    line = `${line.padEnd(at)}${label}`;
  }
}
