import { SecretValue, SourceError } from '@keyturn/source';
import { beforeEach, describe, expect, it } from 'vitest';
import { toJournalError } from '../src/journal/journal-error.ts';
import type { RotationEvent } from '../src/events.ts';
import { RotatorError } from '../src/rotator-error.ts';
import { openLog, type Log } from '../src/telemetry/log.ts';
import { openSetClock } from './fakes/clock.ts';
import { at, held, outcome, rejected, rotation, standing, started, vault } from './notices.ts';

const secret = 'orders-db';
const request = { who: 'ann', why: 'it leaked', at };
const told = { kind: 'near expiry', vault, secret, version: 'v1', at: 0, eventId: 'event-1' } as const;
let lines: string[];
let log: Log;

beforeEach(() => {
  lines = [];
  log = openLog({ out: (line) => void lines.push(line), clock: openSetClock() });
});

function written(): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('a line of log', () => {
  it('is one JSON object with its time, its level and what happened', () => {
    log.record(started);
    log.record(held);
    log.record({ kind: 'ended', outcome, rotation, at });
    const time = '2026-01-01T00:00:00.000Z';
    expect(written()).toEqual([
      { time, level: 'info', event: 'phase', rotation, secret, phase: 'preflight' },
      { time, level: 'warn', event: 'held', rotation, secret, stragglers: ['orders/web-1'] },
      {
        time,
        level: 'info',
        event: 'ended',
        rotation,
        secret,
        outcome: 'closed',
        version: 'v2',
        revokedVersion: 'v1',
        overlapMs: 61_500,
        notChecked: [],
      },
    ]);
    expect(lines.every((line) => line.endsWith('\n') && !line.slice(0, -1).includes('\n'))).toBe(true);
  });

  it('is written for everything that happens to a rotation, with its id and its secret', () => {
    const happened: readonly RotationEvent[] = [
      { kind: 'requested', request: { ...request, compromised: true } },
      { kind: 'awaiting approval', request },
      { kind: 'order', given: { ...request, order: 'approve' } },
      { kind: 'emergency', breaks: ['orders: 1 of 2 instances are not to be seen'] },
      { kind: 'retrying', phase: 'publish', message: 'The vault answered 503.', nextInMs: 250 },
      { kind: 'alarm', reason: 'it has expired' },
      { kind: 'failed', code: 'SOURCE', message: 'It failed.', hint: 'Look at it.' },
    ];
    for (const event of [...happened, rejected]) log.record({ ...event, rotation, at });
    for (const line of written()) expect(line).toMatchObject({ rotation, secret });
    expect(written().map(({ level, event }) => [level, event].join(' '))).toEqual([
      'info requested',
      'warn awaiting approval',
      'info order',
      'warn emergency',
      'warn retrying',
      'error alarm',
      'error failed',
      'warn rejected',
    ]);
    expect(written()[0]).toMatchObject({ who: 'ann', why: 'it leaked', compromised: true });
    expect(written()[2]).toMatchObject({ order: 'approve', who: 'ann' });
  });

  it('is written for triggers and for a rotator whose rotation another one goes on with', () => {
    log.tell({ kind: 'event', event: told, action: 'rotate', reason: 'it nears its expiry' });
    log.tell({ kind: 'taken over', rotation, from: 'machine-2 17' });
    expect(written()).toMatchObject([
      { level: 'info', event: 'event', secret, version: 'v1', about: 'near expiry', action: 'rotate' },
      { level: 'warn', event: 'taken over', rotation, secret, from: 'machine-2 17' },
    ]);
  });

  it('is not written for a look that sees the same again', () => {
    for (const stragglers of [['a'], ['a'], ['a'], []]) log.record(standing(stragglers));
    expect(written().map(({ stragglers }) => stragglers)).toEqual([['a'], []]);
  });

  it('is written for every look where all is asked for', () => {
    log = openLog({ out: (line) => void lines.push(line), clock: openSetClock(), level: 'debug' });
    for (let look = 0; look < 3; look += 1) log.record(standing(['a']));
    expect(lines).toHaveLength(3);
  });

  it('can not be made to begin another one or to command a terminal by a name', () => {
    log.record({ ...held, stragglers: ['x\n{"level":"error"}\u001b[2J\u009b2J\u2028\u202e'] });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.trimEnd()).toMatch(/^[\u0020-\u007e]+$/);
    expect(written()[0]?.['stragglers']).toEqual(['x\n{"level":"error"}\u001b[2J\u009b2J\u2028\u202e']);
  });

  it('says of a target of notifications that it fails, and not more', () => {
    const report = { kind: 'failing', target: 'slack', why: 'it answered 503' } as const;
    log.tell({ kind: 'notifications', report });
    expect(written()[0]).toMatchObject({
      level: 'warn',
      event: 'notifications failing',
      target: 'slack',
      why: 'it answered 503',
    });
  });
});

describe('an error', () => {
  const value = 'Pa55-w0rd/of+orders==';

  /** The value in all places that an error has. */
  function leaking(): Error {
    const error = new AggregateError([new Error(value)], `login failed for ${value}`, {
      cause: new Error(`postgres://orders:${value}@db/orders`),
    });
    error.name = value;
    error.stack = `Error: ${value}\n    at connect`;
    return Object.assign(error, { code: value, hint: value, config: { password: value }, [value]: value });
  }

  it.each([
    ['of somebody else', leaking],
    ['of ours, caused by it', () => new RotatorError('SOURCE', 'It failed.', { cause: leaking() })],
    [
      'of a source, with more put on it',
      () => Object.assign(new SourceError('UNREACHABLE', 'No answer.', { cause: leaking() }), { sql: value }),
    ],
    [
      'as the journal holds it',
      () => toJournalError(Object.assign(leaking(), { name: 'Error', code: '28P01' })),
    ],
    ['that is a text', () => value],
    ['that is an object', () => ({ name: 'RotatorError', message: value, code: value, hint: value })],
    ['that holds the value as such', () => Object.assign(new Error('x'), { v: new SecretValue(value) })],
  ])('shows no value that stands in it: one %s', (_, error) => {
    log.failed(error());
    log.tell({ kind: 'vault unseen', secret, error: error() });
    log.tell({ kind: 'drift unseen', secret, error: error() });
    log.tell({ kind: 'failed', event: told, attempts: 1, nextInMs: 1_000, error: error() });
    log.tell({ kind: 'unexpected', error: error() });
    log.tell({ kind: 'inbox unreadable', error: error() });
    expect(lines.join()).not.toContain(value);
    expect(written().map(({ level }) => level)).toEqual(['error', 'warn', 'warn', 'warn', 'error', 'error']);
  });

  it('of ours is shown with its code and what to do', () => {
    log.failed(new RotatorError('VAULT_FORBIDDEN', 'The vault answered 403.', { hint: 'Grant the role.' }));
    expect(written()[0]).toEqual({
      time: expect.any(String),
      level: 'error',
      event: 'failed',
      code: 'VAULT_FORBIDDEN',
      message: 'The vault answered 403.',
      hint: 'Grant the role.',
    });
  });

  it('of the system is shown with its kind', () => {
    log.failed(Object.assign(new TypeError(value), { code: 'ECONNREFUSED' }));
    expect(written()[0]).toMatchObject({
      message: expect.stringContaining('An unexpected TypeError ECONNREFUSED'),
    });
  });
});
