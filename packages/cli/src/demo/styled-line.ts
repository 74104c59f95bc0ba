import { printable } from '../printable.ts';

export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan' | 'current';

/** A line is text in pieces; it gets its colours last, so that its width is never in doubt. */
export type Piece = string | { readonly text: string; readonly style: Style };
export type Line = readonly Piece[];

const codes: Readonly<Record<Style, string>> = {
  bold: '1',
  dim: '2',
  green: '32',
  red: '31;1',
  yellow: '33',
  cyan: '36',
  current: '1;7',
};

export function styled(text: string, style: Style): Piece {
  return { text, style };
}

/** How many columns the line takes: every character that is drawn here is one wide. */
export function widthOf(line: Line): number {
  return line.reduce((sum, piece) => sum + Array.from(textOf(piece)).length, 0);
}

/** The line as text, cut with an ellipsis where it would exceed `columns`. */
export function paint(line: Line, { columns, colour }: { columns: number; colour: boolean }): string {
  let left = columns;
  const fits = widthOf(line) <= columns;
  let painted = '';
  for (const piece of line) {
    const text = Array.from(printable(textOf(piece)));
    const room = fits ? left : Math.max(0, left - 1);
    const shown = text.slice(0, room).join('');
    left -= Math.min(text.length, room);
    if (shown !== '') painted += colour && typeof piece !== 'string' ? wrapped(shown, piece.style) : shown;
  }
  return fits || columns < 1 ? painted : `${painted}…`;
}

function wrapped(text: string, style: Style): string {
  return `\u001B[${codes[style]}m${text}\u001B[0m`;
}

function textOf(piece: Piece): string {
  return typeof piece === 'string' ? piece : piece.text;
}
