import type { RotationStatus } from '@keyturn/rotator';
import { rotationList } from '@keyturn/rotator/api';
import { aligned } from '../aligned.ts';
import { openApiClient, type ApiClientOptions } from '../api-client.ts';
import { shortVersion } from '../demo/drawing-rotation.ts';
import { paint, styled, type Line, type Piece } from '../demo/styled-line.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { span } from '../span.ts';
import { isColoured } from '../status-view.ts';

export interface HistoryOptions extends ApiClientOptions {
  readonly json: boolean;
  readonly limit: number;
}

/** `keyturn history [SECRET]`: rotations, newest first, with who asked for each and what they came to. */
export async function historyCommand(
  secret: string | undefined,
  options: HistoryOptions,
  { out }: Output,
): Promise<number> {
  const client = await openApiClient(options);
  const query = new URLSearchParams({
    limit: String(options.limit),
    ...(secret === undefined ? {} : { secret }),
  });
  const found = await client.get(`v1/rotations?${query.toString()}`, rotationList);
  if (options.json) {
    out.write(`${JSON.stringify(found)}\n`);
    return exitCodes.done.code;
  }
  const columns = out.isTTY ? out.columns || 80 : Infinity;
  for (const line of historyTable(found.rotations))
    out.write(`${paint(line, { columns, colour: isColoured(out) })}\n`);
  return exitCodes.done.code;
}

/** Under each rotation stand the orders that were given to it. */
export function historyTable(rotations: readonly RotationStatus[]): readonly Line[] {
  if (rotations.length === 0) return [['No rotation is remembered.']];
  const head = ['requested', 'secret', 'from', 'to', 'outcome', 'overlap', 'who', 'why'];
  const [titles = [], ...rows] = aligned(head, rotations.map(row));
  return [titles, ...rows.flatMap((line, index) => [line, ...below(rotations[index])])];
}

function row({ secret, from, version, state, requested, outcome }: RotationStatus): readonly Piece[] {
  const text = outcome?.outcome ?? state;
  return [
    minute(requested.at),
    styled(secret, 'bold'),
    shortVersion(from),
    version === undefined ? '–' : shortVersion(outcome?.version ?? version),
    text === 'failed' ? styled(text, 'red') : styled(text, text === 'closed' ? 'green' : 'yellow'),
    outcome === undefined ? '–' : span(outcome.overlapMs),
    requested.who,
    `${requested.compromised ? 'compromised: ' : ''}${requested.why}`,
  ];
}

function below(rotation: RotationStatus | undefined): readonly Line[] {
  const { orders = [], failure, outcome } = rotation ?? {};
  return [
    ...orders.map(({ at, order, who, why }): Line => [
      styled(`  ${minute(at)}  ${order} by ${who}: ${why}`, 'dim'),
    ]),
    ...(outcome?.notChecked ?? []).map((what): Line => [styled(`  not checked: ${what}`, 'dim')]),
    ...(failure ? [[styled(`  ${failure.message}`, 'red')]] : []),
  ];
}

/** `2026-11-23 10:00Z` */
function minute(at: string): string {
  return `${at.slice(0, 10)} ${at.slice(11, 16)}Z`;
}
