import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createClock, type RunningClock } from '../src/clock.ts';

const start = Date.parse('2027-01-01T00:00:00Z');
const day = 86_400_000;

let realMs: number;
let clock: RunningClock;
let moves: number[];
let done: string[];

beforeEach(() => {
  realMs = 0;
  moves = [];
  done = [];
  clock = createClock({ startMs: start, realMs: () => realMs, onMoved: (aheadMs) => moves.push(aheadMs) });
});
afterEach(() => clock.close());

const note = (what: string) => () => void done.push(`${what} at ${clock.now().toISOString().slice(0, 10)}`);

describe('the clock', () => {
  test('runs at the speed of real time from where it was set', async () => {
    expect(clock.now().getTime()).toBe(start);
    realMs += 5_000;
    expect(clock.now().getTime()).toBe(start + 5_000);
    await clock.set(new Date('2030-06-01T00:00:00Z'));
    realMs += 1_000;
    expect(clock.now().toISOString()).toBe('2030-06-01T00:00:01.000Z');
  });

  test('does what falls due on the way in order, each at its own time', async () => {
    clock.at(start + 20 * day, note('second'));
    clock.at(start + 10 * day, note('first'));
    clock.at(start + 40 * day, note('not yet'));
    await clock.advance(30 * day);
    expect(done).toEqual(['first at 2027-01-11', 'second at 2027-01-21']);
    expect(clock.now().getTime()).toBe(start + 30 * day);
  });

  test('waits for what it set off, and for what that plans on the way', async () => {
    clock.at(start + day, async () => {
      await new Promise((resolve) => setImmediate(resolve));
      note('slow')();
      clock.at(start + 2 * day, note('planned on the way'));
      clock.at(start + 9 * day, note('too late'));
    });
    await clock.advance(3 * day);
    expect(done).toEqual(['slow at 2027-01-02', 'planned on the way at 2027-01-03']);
  });

  test('what falls due together is done together', async () => {
    let release = (): void => {};
    const other = new Promise<void>((resolve) => (release = resolve));
    clock.at(start + day, () => other);
    clock.at(start + day, () => release());
    await clock.advance(day);
    expect(clock.now().getTime()).toBe(start + day);
  });

  test('what was called off does not happen', async () => {
    const callOff = clock.at(start + day, note('never'));
    callOff();
    callOff();
    await clock.advance(2 * day);
    expect(done).toEqual([]);
  });

  test('moved back, it shows an earlier time and plans go on waiting for their moment', async () => {
    clock.at(start + day, note('later'));
    await clock.set(new Date(start - 10 * day));
    expect(clock.now().getTime()).toBe(start - 10 * day);
    expect(done).toEqual([]);
    await clock.advance(11 * day);
    expect(done).toEqual(['later at 2027-01-02']);
  });

  test('stopped, it stands still until it is moved or started again', async () => {
    clock.stop();
    realMs += 5_000;
    expect(clock.now().getTime()).toBe(start);
    clock.at(start + day, note('moved'));
    await clock.advance(day);
    realMs += 5_000;
    expect(clock.now().getTime()).toBe(start + day);
    clock.start();
    realMs += 1_000;
    expect(clock.now().getTime()).toBe(start + day + 1_000);
    expect(done).toEqual(['moved at 2027-01-02']);
  });

  test('says how far ahead of real time it is, whenever it is moved', async () => {
    await clock.advance(day);
    realMs += 7_000;
    await clock.advance(day);
    expect(moves).toEqual([start + day, start + 2 * day]);
  });

  test('does what is due without being moved, when real time gets there', async () => {
    await new Promise<void>((resolve) => {
      clock.at(start, () => resolve());
    });
    expect(clock.now().getTime()).toBe(start);
  });

  test('a time that is none is refused, and it runs on', async () => {
    for (const ms of [NaN, Infinity, 1e300, -1e300])
      await expect(clock.advance(ms)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    await expect(clock.set(new Date('never'))).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    expect(clock.now().getTime()).toBe(start);
    expect(moves).toEqual([]);
  });

  test('does nothing more once closed', async () => {
    clock.at(start + day, note('never'));
    await clock.close();
    await clock.advance(2 * day);
    expect(done).toEqual([]);
  });
});
