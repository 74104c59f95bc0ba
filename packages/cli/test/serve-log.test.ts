import type { RotationRecord } from '@keyturn/rotator';
import { beforeEach, describe, expect, it } from 'vitest';
import { openSetClock } from '../../rotator/test/fakes/clock.ts';
import { held, rotation, standing } from '../../rotator/test/notices.ts';
import { openServeLog, type ServeLog } from '../src/serve-log.ts';
import type { LogKind } from '../src/log-kinds.ts';

let written: string;

function open(kind: LogKind, { isTTY }: { readonly isTTY: boolean }): ServeLog {
  const stream = { isTTY, write: (text: string) => (written += text) } as unknown as NodeJS.WriteStream;
  return openServeLog(kind, { stream, clock: openSetClock() });
}

beforeEach(() => void (written = ''));

const time = '2026-01-01T00:00:00.000Z';

describe('the log of keyturn serve', () => {
  it.each([
    ['auto', false, true],
    ['auto', true, false],
    ['json', true, true],
    ['text', false, false],
  ] as const)('of kind %s, on a terminal: %s, is JSON: %s', (kind, isTTY, isJson) => {
    const log = open(kind, { isTTY });
    log.record(held);
    log.tell({ kind: 'taken over', rotation, from: 'machine-2' });
    log.say('stopping', 'stopping: SIGTERM', { reason: 'SIGTERM' });
    if (!isJson) {
      expect(written).toBe(
        [
          `${time}  warn   ${rotation}  held at the deadline; waiting for orders/web-1`,
          `${time}  warn   ${rotation}  gone on with: the rotator machine-2 is gone`,
          `${time}  info   stopping: SIGTERM`,
          '',
        ].join('\n'),
      );
      return;
    }
    const lines = written.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { time, level: 'warn', event: 'held', rotation, secret: 'orders-db', stragglers: ['orders/web-1'] },
      { time, level: 'warn', event: 'taken over', rotation, secret: 'orders-db', from: 'machine-2' },
      { time, level: 'info', event: 'stopping', reason: 'SIGTERM' },
    ]);
  });

  it('says in words once what several looks see', () => {
    const log = open('text', { isTTY: true });
    for (let look = 0; look < 3; look += 1) log.record(standing(['orders/web-1'], 10 - look));
    log.record(standing([]));
    expect(written.trimEnd().split('\n')).toHaveLength(2);
    expect(written).toContain('orders/web-1');
  });

  it('can not be made to command a terminal, and shows no text of an error that is not ours', () => {
    const log = open('text', { isTTY: true });
    log.record({ kind: 'rejected', reason: '\u001B[2J', rotation, at: time } satisfies RotationRecord);
    log.failed(new Error('postgres://orders:Pa55@db/orders'));
    expect(written).not.toContain('\u001B');
    expect(written).not.toContain('Pa55');
    expect(written).toContain(`error  An unexpected Error was thrown`);
  });
});
