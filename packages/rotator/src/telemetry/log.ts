import type { RotationId } from '@keyturn/source';
import type { Clock } from '../clock.ts';
import type { RotationRecord } from '../events.ts';
import type { ServiceReport } from '../service.ts';
import { levels, recordLine, reportLine, type Level, type LogLine } from './log-line.ts';
import { plainError } from './plain-error.ts';

/** Structured logs: one JSON object a line. What it writes of an error is what `plainError` lets through. */
export interface Log {
  write(level: Level, event: string, fields?: LogLine['fields']): void;
  /** Something happened to a rotation. */
  record(record: RotationRecord): void;
  /** Something happened around rotations. */
  tell(report: ServiceReport): void;
  /** Something of the rotator itself went wrong. */
  failed(error: unknown): void;
}

/** `out` takes whole lines: `(line) => process.stderr.write(line)`. Lines below `level` are left out. */
export function openLog(options: {
  readonly out: (line: string) => void;
  readonly clock: Clock;
  readonly level?: Level;
}): Log {
  const { out, clock, level: least = 'info' } = options;
  /** What the last look saw, by rotation: a look every two seconds that sees the same is no news. */
  const seen = new Map<RotationId, string>();

  const write: Log['write'] = (level, event, fields = {}) => {
    if (levels.indexOf(level) < levels.indexOf(least)) return;
    const time = new Date(clock.now()).toISOString();
    out(`${harmless(JSON.stringify({ time, level, event, ...fields }))}\n`);
  };

  function levelOf({ kind, rotation }: RotationRecord, { level, fields }: LogLine): Level {
    if (kind === 'ended' || kind === 'failed') seen.delete(rotation);
    if (kind !== 'standing') return level;
    const news = JSON.stringify(fields);
    const isNews = seen.get(rotation) !== news;
    seen.set(rotation, news);
    return isNews ? level : 'debug';
  }

  return {
    write,
    record(record) {
      const line = recordLine(record);
      write(levelOf(record, line), line.event, line.fields);
    },
    tell(report) {
      const { level, event, fields } = reportLine(report);
      write(level, event, fields);
    },
    failed: (error) => write('error', 'failed', plainError(error)),
  };
}

/** JSON escapes what would end a line or start a terminal's command, but for these. */
function harmless(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
