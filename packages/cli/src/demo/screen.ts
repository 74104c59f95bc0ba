import { printable } from '../printable.ts';
import { openRedrawing } from '../redrawing.ts';
import type { Course } from './course.ts';
import { drawScreen, seconds } from './drawing.ts';
import { shortVersion } from './drawing-rotation.ts';
import { failingNow, totals } from './timeline.ts';

/** Shows a demo while it runs. */
export interface Screen {
  draw(course: Course): void;
  /** Leaves what was drawn last on the terminal. Closing twice does nothing more. */
  close(): void;
}

/** Redraws in place on a terminal. */
export function liveScreen(
  stream: Pick<NodeJS.WriteStream, 'write' | 'columns' | 'rows'>,
  colour = true,
): Screen {
  const redrawing = openRedrawing(stream);
  return {
    draw: (course) => redrawing.draw((size) => drawScreen(course, size, colour)),
    close: () => redrawing.close(),
  };
}

const summaryEveryMs = 5_000;

/** Tells the same without a terminal: one plain line for each change, and the totals every five seconds. `write` ends the line. */
export function plainLines(write: (line: string) => void): Screen {
  const told = new Set<string>();
  const failing = new Set<string>();
  let doing = '';
  let users = '';
  let summaries = 0;

  const line = (atMs: number | undefined, text: string) =>
    write(`${(atMs === undefined ? '' : seconds(atMs)).padStart(8)}  ${printable(text)}`);
  const once = (key: string, atMs: number, text: string) => {
    if (told.has(key)) return;
    told.add(key);
    line(atMs, text);
  };

  return {
    draw(course) {
      const { nowMs, rotation, rotatedAtMs } = course;
      // Times count from the first request; what comes before has none.
      const begun = course.contenders.some(({ samples }) => samples.length > 0);
      if (course.doing !== doing) line(begun ? nowMs : undefined, course.doing);
      doing = course.doing;
      if (rotatedAtMs !== undefined) once('rotated', rotatedAtMs, 'all three are rotated');
      for (const { name, startMs } of rotation.phases) {
        once(`phase ${name} ${startMs}`, startMs, `rotation: ${name}`);
      }
      for (const { instance, version, atMs } of rotation.adoptions) {
        once(
          `adoption ${instance} ${version}`,
          atMs,
          `${instance} has adopted version ${shortVersion(version)}`,
        );
      }
      const usersNow = usersOfOld(rotation.standing);
      if (usersNow !== users) line(nowMs, usersNow);
      users = usersNow;
      for (const { name, samples } of course.contenders) {
        const now = failingNow(samples);
        // A failure that was over before anybody looked is told all the same.
        const first = samples.find(({ ok }) => !ok);
        if (first && !told.has(name)) {
          once(name, first.atMs, `${name}: a request failed (${first.instance})`);
          failing.add(name);
        } else if (now.length > 0 && !failing.has(name)) {
          line(nowMs, `${name}: requests fail again (${now.join(', ')})`);
          failing.add(name);
        } else if (now.length === 0 && failing.delete(name)) {
          line(nowMs, `${name}: recovered`);
        }
      }
      if (begun && Math.floor(nowMs / summaryEveryMs) > summaries) {
        summaries = Math.floor(nowMs / summaryEveryMs);
        line(nowMs, course.contenders.map(summary).join('; '));
      }
    },
    close: () => undefined,
  };
}

/** Who still uses the old role; nothing before anybody has looked. */
function usersOfOld(standing: Course['rotation']['standing']): string {
  if (standing === undefined) return '';
  const { leaving, oldSessions } = standing;
  if (oldSessions.length === 0) return `nobody uses ${leaving} any more`;
  return `${leaving} is still used by ${[...new Set(oldSessions)].toSorted().join(', ')}`;
}

function summary({ name, samples }: Course['contenders'][number]): string {
  const { served, failed } = totals(samples);
  return `${name}: ${served} served, ${failed} failed`;
}
