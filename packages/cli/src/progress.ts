import type { RotationRecord } from '@keyturn/rotator';
import { printable } from './printable.ts';

export const progressKinds = ['auto', 'lines', 'json', 'none'] as const;
export type ProgressKind = (typeof progressKinds)[number];

/** Shows how a rotation goes on while it goes on. */
export interface Progress {
  show(record: RotationRecord): void;
  close(): void;
}

/** `auto` redraws the last line on a terminal and prints plain lines elsewhere; `json` prints each record. */
export function openProgress(kind: ProgressKind, stream: NodeJS.WriteStream): Progress {
  if (kind === 'none') return { show: () => undefined, close: () => undefined };
  if (kind === 'json') {
    return { show: (record) => void stream.write(`${JSON.stringify(record)}\n`), close: () => undefined };
  }
  return kind === 'auto' && stream.isTTY ? redrawing(stream) : plain(stream);
}

/** A line for each thing that changes; what stays the same is not said twice. */
function plain(stream: NodeJS.WriteStream): Progress {
  let last = '';
  return {
    show(record) {
      const line = printable(sentence(record, { withClock: false }));
      if (line === last) return;
      last = line;
      stream.write(`${record.at}  ${line}\n`);
    },
    close: () => undefined,
  };
}

function redrawing(stream: NodeJS.WriteStream): Progress {
  let open = false;
  const end = () => {
    if (open) stream.write('\n');
    open = false;
  };
  return {
    show(record) {
      if (record.kind !== 'standing') end();
      const line = printable(sentence(record, { withClock: true })).slice(
        0,
        Math.max(20, stream.columns - 1),
      );
      stream.write(`\r\u001B[2K${line}`);
      open = true;
    },
    close: end,
  };
}

/** A record in words. */
export function sentence(record: RotationRecord, { withClock }: { withClock: boolean }): string {
  switch (record.kind) {
    case 'phase':
      return record.phase;
    case 'standing': {
      const open = record.verdicts.filter(({ passed }) => passed === false);
      if (open.length === 0) return '  converged: clock, adoption and usage agree';
      return `  waiting for ${open
        .map(({ check, why, stragglers }) => {
          if (check === 'clock') return withClock ? `clock (${why})` : 'clock';
          return `${check} (${[why, ...stragglers.slice(0, 3)].join('; ')}${stragglers.length > 3 ? '; …' : ''})`;
        })
        .join(', ')}`;
    }
    case 'retrying':
      return `  ${record.phase}: ${record.message} Trying again.${record.hint === undefined ? '' : ` (${record.hint})`}`;
    case 'held':
      return `held at the deadline; waiting for ${record.stragglers.join(', ') || 'the clock'}`;
    case 'rejected':
      return `the new version is taken back: ${record.reason}`;
    case 'awaiting approval':
      return `waits until somebody else than ${record.request.who} agrees`;
    case 'emergency':
      return `the old credential is ended as soon as can be; this breaks ${record.breaks.join(', ') || 'nothing that is known'}`;
    case 'order':
      return `${record.given.who} says ${record.given.order}: ${record.given.why}`;
    case 'requested':
      return `asked for by ${record.request.who}: ${record.request.why}`;
    case 'ended':
      return record.outcome.outcome;
    case 'alarm':
      return record.reason;
    case 'failed':
      return `stopped: ${record.message}`;
  }
}
