import { stripVTControlCharacters } from 'node:util';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** A picture on a terminal that is drawn again and again in the same place. */
export interface Redrawing {
  /** No line of the picture may be wider than `columns`, and there have to be fewer than `rows`. */
  draw(picture: (size: Size) => readonly string[]): void;
  /** Leaves what was drawn last on the terminal. Closing twice does nothing more. */
  close(): void;
}

const hideCursor = '\u001B[?25l';
const showCursor = '\u001B[?25h';
const clearToLineEnd = '\u001B[K';
const clearBelow = '\u001B[J';

/** Each picture is one write and nothing is blanked first, so it doesn't flicker. */
export function openRedrawing(stream: Pick<NodeJS.WriteStream, 'write' | 'columns' | 'rows'>): Redrawing {
  let widths: readonly number[] = [];
  let open = false;
  return {
    draw(picture) {
      // The last column stays free: a cursor waiting there to wrap would lose its character to the clearing.
      const columns = Math.max(1, (stream.columns || 80) - 1);
      const lines = picture({ columns, rows: stream.rows || 24 });
      // A window that was made narrower has wrapped what stands there: it takes more rows than it had lines.
      const height = widths.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / (columns + 1))), 0);
      const up = height === 0 ? '' : `\u001B[${height}A`;
      const drawn = lines.map((line) => `${line}${clearToLineEnd}\n`).join('');
      stream.write(`${open ? '' : hideCursor}${up}\r${drawn}${clearBelow}`);
      open = true;
      widths = lines.map((line) => stripVTControlCharacters(line).length);
    },
    close() {
      if (open) stream.write(showCursor);
      open = false;
    },
  };
}
