import type { RotationId } from '@keyturn/source';
import type { Clock } from '../clock.ts';
import type { RotationRecord } from '../events.ts';
import type { Json } from '../journal/run.ts';
import type { NotifierReport } from '../notify/target-queue.ts';
import type { Outcome } from '../rotation.ts';
import { plainError } from './plain-error.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** Structured logs: one JSON object a line. What it writes of an error is what `plainError` lets through. */
export interface Log {
  write(level: Level, event: string, fields?: { readonly [name: string]: Json | undefined }): void;
  record(record: RotationRecord): void;
  ended(outcome: Outcome): void;
  /** Something went wrong: a rotation if `rotation` is given, else something of the rotator itself. */
  failed(error: unknown, rotation?: RotationId): void;
  notifier(line: NotifierReport): void;
}

const levels: readonly Level[] = ['debug', 'info', 'warn', 'error'];

/** `out` takes whole lines: `(line) => process.stderr.write(line)`. Lines below `level` are left out. */
export function openLog(options: {
  readonly out: (line: string) => void;
  readonly clock: Clock;
  readonly level?: Level;
}): Log {
  const { out, clock, level: least = 'info' } = options;
  /** Whom the last look saw, by rotation: a look every two seconds that sees the same is no news. */
  const seen = new Map<RotationId, string>();

  const write: Log['write'] = (level, event, fields = {}) => {
    if (levels.indexOf(level) < levels.indexOf(least)) return;
    const time = new Date(clock.now()).toISOString();
    out(`${harmless(JSON.stringify({ time, level, event, ...fields }))}\n`);
  };

  function standing(record: RotationRecord & { kind: 'standing' }): void {
    const { rotation, version, converged, instances, verdicts } = record;
    const stragglers = verdicts.flatMap((verdict) => verdict.stragglers);
    const fields = { rotation, version, converged, instances: instances.length, stragglers };
    const news = JSON.stringify(fields);
    write(seen.get(rotation) === news ? 'debug' : 'info', 'standing', fields);
    seen.set(rotation, news);
  }

  return {
    write,
    record(record) {
      const { rotation } = record;
      switch (record.kind) {
        case 'phase':
          return write('info', 'phase', { rotation, phase: record.phase });
        case 'standing':
          return standing(record);
        case 'retrying': {
          const { phase, message, hint, nextInMs } = record;
          return write('warn', 'retrying', { rotation, phase, message, hint, nextInMs });
        }
        case 'held':
          return write('warn', 'held', { rotation, stragglers: record.stragglers });
        case 'rejected':
          return write('warn', 'rejected', { rotation, reason: record.reason });
      }
    },
    ended({ id, outcome, version, revokedVersion, overlapMs, notChecked }) {
      seen.delete(id);
      const fields = { rotation: id, outcome, version, revokedVersion, overlapMs, notChecked };
      write(outcome === 'closed' ? 'info' : 'warn', 'ended', fields);
    },
    failed(error, rotation) {
      if (rotation !== undefined) seen.delete(rotation);
      write('error', 'failed', { rotation, ...plainError(error) });
    },
    notifier({ kind, ...fields }) {
      write(kind === 'recovered' ? 'info' : 'warn', `notifications ${kind}`, fields);
    },
  };
}

/** JSON escapes what would end a line or start a terminal's command, but for these. */
function harmless(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
