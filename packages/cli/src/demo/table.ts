import { paint, styled, type Line } from './styled-line.ts';

export interface ResultRow {
  readonly name: string;
  readonly instances: number;
  readonly requests: number;
  readonly failed: number;
  readonly outageMs: number;
}

/** The result of a demo as an aligned table for the terminal, without a line break at its end. */
export function resultTable(rows: readonly ResultRow[], colour: boolean): string {
  const head = ['', 'instances', 'requests', 'failed', 'outage'];
  const body = rows.map((row) => [
    row.name,
    `${row.instances}`,
    `${row.requests}`,
    `${row.failed}`,
    `${Math.round(row.outageMs)} ms`,
  ]);
  const widths = head.map((_, column) =>
    Math.max(...[head, ...body].map((cells) => (cells[column] ?? '').length)),
  );
  const aligned = (cells: readonly string[]) =>
    cells.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : `  ${cell.padStart(widths[column] ?? 0)}`,
    );
  const lines: readonly Line[] = [
    [styled(aligned(head).join(''), 'dim')],
    [styled('─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)), 'dim')],
    ...body.map((cells, index) => {
      const [name = '', instances = '', requests = '', failed = '', outage = ''] = aligned(cells);
      const style = rows[index]?.failed === 0 ? 'green' : 'red';
      return [styled(name, 'bold'), instances, requests, styled(failed, style), styled(outage, style)];
    }),
  ];
  return lines.map((line) => paint(line, { columns: Infinity, colour })).join('\n');
}
