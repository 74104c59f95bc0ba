import type { SecretStatus } from '@keyturn/rotator';
import { aligned } from './aligned.ts';
import { shortVersion } from './demo/drawing-rotation.ts';
import { styled, type Line, type Piece, type Style } from './demo/styled-line.ts';
import { distance, span } from './span.ts';

const styles: Readonly<Record<string, Style>> = {
  running: 'cyan',
  'awaiting approval': 'yellow',
  held: 'yellow',
  'rolled back': 'yellow',
  aborted: 'yellow',
  failed: 'red',
};

/** Every secret as a line: those that something happens to first. What fails is told below. */
export function statusTable(secrets: readonly SecretStatus[], nowMs: number): readonly Line[] {
  if (secrets.length === 0) return [['No secret is configured.']];
  const sorted = secrets.toSorted(
    (one, other) => Number(isIdle(one)) - Number(isIdle(other)) || (one.secret < other.secret ? -1 : 1),
  );
  const head = ['secret', 'version', 'age', 'due', 'expires', 'state', 'phase', 'waiting for'];
  return [
    ...aligned(
      head,
      sorted.map((one) => row(one, nowMs)),
    ),
    ...sorted.flatMap((one) => trouble(one, nowMs)),
  ];
}

/** What happens to a secret: the state of the rotation that is open, or of the last one unless it went well. */
export function stateOf({ open, last }: SecretStatus): string {
  if (open) return open.state;
  return last && last.state !== 'closed' ? last.state : 'idle';
}

function isIdle(status: SecretStatus): boolean {
  return stateOf(status) === 'idle' && !status.failure;
}

function row(status: SecretStatus, nowMs: number): readonly Piece[] {
  const { secret, version, createdAt, expiresAt, dueAt, open } = status;
  const state = stateOf(status);
  const style = styles[state];
  return [
    styled(secret, 'bold'),
    version === undefined ? '–' : shortVersion(version),
    createdAt === undefined ? '–' : span(Math.max(0, nowMs - Date.parse(createdAt))),
    moment(dueAt, nowMs),
    moment(expiresAt, nowMs),
    style === undefined ? state : styled(state, style),
    open?.phase ?? '–',
    open?.stragglers.join(', ') ?? '',
  ];
}

/** What lies behind draws the eye. */
function moment(at: string | undefined, nowMs: number): Piece {
  if (at === undefined) return '–';
  const text = distance(at, nowMs);
  return Date.parse(at) < nowMs ? styled(text, 'yellow') : text;
}

function trouble({ secret, failure, open, last }: SecretStatus, nowMs: number): readonly Line[] {
  const failed = failure ?? open?.failure ?? (last?.state === 'failed' ? last.failure : undefined);
  if (!failed) return [];
  const next = failure?.nextAttemptAt;
  return [
    [
      styled(`${secret}: `, 'bold'),
      styled(failed.message, 'red'),
      next === undefined ? '' : styled(` Next attempt ${distance(next, nowMs)}.`, 'dim'),
    ],
    ...(failed.hint === undefined ? [] : [[styled(`  hint: ${failed.hint}`, 'dim')]]),
  ];
}

/** The same of one secret as a sentence, without what changes by itself. */
export function statusSentence(status: SecretStatus): string {
  const { secret, version, open, failure } = status;
  return [
    `${secret}: ${stateOf(status)}`,
    ...(open?.phase === undefined ? [] : [open.phase]),
    ...(version === undefined ? [] : [`version ${shortVersion(version)}`]),
    ...(open?.stragglers.length ? [`waiting for ${open.stragglers.join(', ')}`] : []),
    ...(failure ? [failure.message] : []),
  ].join(', ');
}
