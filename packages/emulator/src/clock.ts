import { createDueQueue } from './due-queue.ts';
import { EmulatorError } from './emulator-error.ts';

/** The emulator's own time. It runs at the speed of real time from wherever it was set to. */
export interface EmulatorClock {
  readonly now: () => Date;
  /**
   * Moves the clock, and resolves once everything that was due until then has happened, in order. Moved back,
   * it only shows an earlier time: what has happened stays, and what waits goes on waiting for its moment.
   * Throws `OPTIONS_INVALID` for a time that isn't one of the years 1970 to 9999.
   */
  set(time: Date): Promise<void>;
  /** Moves the clock forward by this many milliseconds, in the same way. */
  advance(ms: number): Promise<void>;
  /** From now on time passes only when the clock is moved. */
  stop(): void;
  /** Lets time pass again, from where the clock stands. */
  start(): void;
}

/** What the parts of the emulator plan with. */
export interface Timetable {
  readonly now: () => Date;
  /** Does it when the clock gets there, or at the next opportunity if it already is. Returns a way to call it off. */
  at(time: number, action: () => void | Promise<void>): () => void;
}

interface Entry {
  readonly time: number;
  readonly action: () => void | Promise<void>;
  calledOff: boolean;
}

export interface RunningClock extends EmulatorClock, Timetable {
  /** Does nothing more from now on, and resolves when what was being done is done. */
  close(): Promise<void>;
}

// The longest that a timer of Node waits.
const longestWaitMs = 2 ** 31 - 1;

// What dates and their written form are good for everywhere.
const endMs = Date.UTC(10_000, 0);

/** `startMs` is where the clock stands at first, epoch milliseconds; `realMs` is real time, which drives it. */
export function createClock(options: {
  readonly startMs: number;
  readonly realMs: () => number;
  /** Told whenever somebody moves the clock: by how much it is ahead of real time. */
  readonly onMoved: (aheadMs: number) => void;
}): RunningClock {
  const entries = createDueQueue<Entry>();
  let aheadMs = options.startMs - options.realMs();
  let standingAt: number | undefined; // stopped, or while it is being moved: at what is being done
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let work: Promise<void> = Promise.resolve();

  const nowMs = (): number => standingAt ?? options.realMs() + aheadMs;

  const soonest = (): Entry | undefined => {
    while (entries.soonest()?.calledOff === true) entries.take();
    return entries.soonest();
  };

  const wake = (): void => {
    clearTimeout(timer);
    const next = soonest();
    if (next === undefined || closed || stopped) return;
    timer = setTimeout(() => void runDue(), Math.min(Math.max(next.time - nowMs(), 0), longestWaitMs));
    timer.unref();
  };

  // One after the other: whoever moves the clock twice sees the first move through.
  const inTurn = (action: () => Promise<void>): Promise<void> => {
    work = work.then(action, action);
    return work;
  };

  const runUntil = async (time: () => number, stand: boolean): Promise<void> => {
    for (let next = soonest(); next !== undefined && next.time <= time() && !closed; next = soonest()) {
      // What fell due together is done together: a slow receiver doesn't hold up the others.
      const due: Entry[] = [];
      for (let entry = soonest(); entry?.time === next.time; entry = soonest()) {
        due.push(entry);
        entries.take();
      }
      if (stand) standingAt = Math.max(next.time, nowMs());
      await Promise.all(due.map(async ({ action }) => action()));
    }
  };

  const runDue = (): Promise<void> =>
    inTurn(async () => {
      await runUntil(nowMs, false);
      wake();
    });

  const moveTo = (target: () => number): Promise<void> =>
    inTurn(async () => {
      const time = target();
      if (!(time >= 0 && time < endMs))
        throw new EmulatorError('OPTIONS_INVALID', 'The clock can stand in the years 1970 to 9999 only.');
      standingAt = Math.min(nowMs(), time);
      try {
        await runUntil(() => time, true);
      } finally {
        aheadMs = time - options.realMs();
        standingAt = stopped ? time : undefined;
      }
      wake();
      options.onMoved(aheadMs);
    });

  return {
    now: () => new Date(nowMs()),
    set: (time) => moveTo(() => time.getTime()),
    advance: (ms) => moveTo(() => nowMs() + ms),

    stop() {
      stopped = true;
      standingAt = nowMs();
    },
    start() {
      stopped = false;
      aheadMs = nowMs() - options.realMs();
      standingAt = undefined;
      wake();
    },

    at(time, action) {
      const entry = { time, action, calledOff: false };
      entries.add(entry);
      if (soonest() === entry) wake();
      return () => {
        entry.calledOff = true;
      };
    },

    async close() {
      closed = true;
      clearTimeout(timer);
      await work.catch(() => {});
    },
  };
}
