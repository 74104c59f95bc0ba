import {
  openLog,
  recordLine,
  reportLine,
  type Clock,
  type Level,
  type Log,
  type LogLine,
} from '@keyturn/rotator';
import type { LogKind } from './log-kinds.ts';
import { printable } from './printable.ts';
import { sentence } from './progress.ts';
import { inWords, reportInWords } from './report-in-words.ts';

/** What `keyturn serve` tells while it runs; no value is ever in it. */
export interface ServeLog extends Pick<Log, 'record' | 'tell' | 'failed'> {
  /** Something about this process: `words` for people, the rest for programs. */
  say(event: 'started' | 'stopping' | 'stopped', words: string, fields?: LogLine['fields']): void;
}

/** `auto` writes sentences on a terminal and JSON lines elsewhere. */
export function openServeLog(
  kind: LogKind,
  { stream, clock }: { readonly stream: NodeJS.WriteStream; readonly clock: Clock },
): ServeLog {
  const out = (line: string): void => void stream.write(line);
  const inText = kind === 'text' || (kind === 'auto' && stream.isTTY);
  if (inText) return openText(out, clock);
  const log = openLog({ out, clock });
  return { ...log, say: (event, _words, fields) => log.write('info', event, fields) };
}

function openText(out: (line: string) => void, clock: Clock): ServeLog {
  /** What the last look at a rotation saw: the same again is no news. */
  const seen = new Map<string, string>();
  const write = (level: Level, words: string): void => {
    if (level !== 'debug')
      out(`${new Date(clock.now()).toISOString()}  ${level.padEnd(5)}  ${printable(words)}\n`);
  };
  return {
    record(record) {
      const { kind, rotation } = record;
      const words = sentence(record, { withClock: false });
      if (kind === 'standing' && seen.get(rotation) === words) return;
      if (kind === 'standing') seen.set(rotation, words);
      if (kind === 'ended' || kind === 'failed') seen.delete(rotation);
      write(recordLine(record).level, `${rotation}  ${words.trim()}`);
    },
    tell: (report) => write(reportLine(report).level, reportInWords(report)),
    failed: (error) => write('error', inWords(error)),
    say: (_event, words) => write('info', words),
  };
}
