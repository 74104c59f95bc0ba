import type { SecretStatus } from '@keyturn/rotator';
import { paint, type Line } from './demo/styled-line.ts';
import type { Output } from './output.ts';
import { printable } from './printable.ts';
import { openRedrawing } from './redrawing.ts';
import { statusSentence, statusTable } from './status-table.ts';

/** Shows what stands, again and again. */
export interface StatusView {
  show(secrets: readonly SecretStatus[]): void;
  /** The rotator is away, and why; what was shown last may no longer be so. */
  lost(why: string): void;
  close(): void;
}

export function openStatusView({ out, err }: Output, { json }: { json: boolean }): StatusView {
  if (json) return changes(out, err, (status) => JSON.stringify(status));
  if (out.isTTY) return screen(out);
  const now = () => new Date().toISOString();
  return changes(out, err, (status) => printable(statusSentence(status)), now);
}

const everyMs = 1_000;

/** A table that is drawn again every second: ages grow by themselves. */
function screen(out: NodeJS.WriteStream): StatusView {
  const redrawing = openRedrawing(out);
  let secrets: readonly SecretStatus[] | undefined;
  let away: string | undefined;
  const draw = () => {
    if (secrets === undefined) return;
    const table = statusTable(secrets, Date.now());
    redrawing.draw(({ columns, rows }) => {
      const notice = away === undefined ? [] : [away];
      const room = Math.max(1, rows - 2 - notice.length);
      const more = table.length > room ? [`… and ${table.length - room} more lines`] : [];
      const lines: readonly Line[] = [...table.slice(0, room), more, notice].filter(
        (line) => line.length > 0,
      );
      return lines.map((line) => paint(line, { columns, colour: isColoured(out) }));
    });
  };
  const timer = setInterval(draw, everyMs);
  return {
    show(found) {
      secrets = found;
      away = undefined;
      draw();
    },
    lost(why) {
      away = why;
      draw();
    },
    close() {
      clearInterval(timer);
      redrawing.close();
    },
  };
}

/** A line for each secret that changed. */
function changes(
  out: NodeJS.WriteStream,
  err: NodeJS.WriteStream,
  write: (status: SecretStatus) => string,
  now?: () => string,
): StatusView {
  const told = new Map<string, string>();
  let away: string | undefined;
  return {
    show(secrets) {
      away = undefined;
      for (const status of secrets) {
        const line = write(status);
        if (told.get(status.secret) === line) continue;
        told.set(status.secret, line);
        out.write(now === undefined ? `${line}\n` : `${now()}  ${line}\n`);
      }
    },
    lost(why) {
      if (why !== away) err.write(`keyturn: ${why}\n`);
      away = why;
    },
    close: () => undefined,
  };
}

export function isColoured(out: NodeJS.WriteStream): boolean {
  return out.isTTY && process.env['NO_COLOR'] === undefined;
}
