import { styled, type Line, type Piece } from './demo/styled-line.ts';

/** Rows as lines with their columns aligned, the head dimmed. Every cell is one piece; the last isn't padded. */
export function aligned(head: readonly string[], rows: readonly (readonly Piece[])[]): readonly Line[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => lengthOf(row[column] ?? ''))),
  );
  const line = (row: readonly Piece[]): Line =>
    row.flatMap((piece, column): Piece[] => {
      if (column === row.length - 1) return [piece];
      return [piece, ''.padEnd((widths[column] ?? 0) - lengthOf(piece) + 2)];
    });
  return [line(head.map((title) => styled(title, 'dim'))), ...rows.map(line)];
}

function lengthOf(piece: Piece): number {
  return Array.from(typeof piece === 'string' ? piece : piece.text).length;
}
