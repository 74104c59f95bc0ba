import { SecretsError } from './secrets-error.ts';

/** Time, so that tests can set it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs `action` once after `ms`; returns what cancels it. */
  after(ms: number, action: () => void): () => void;
}

/** A longer `setTimeout` would fire at once. */
export const longestTimerMs = 2 ** 31 - 1;

/** The machine's clock. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, action) {
    const timer = setTimeout(action, Math.min(ms, longestTimerMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** What cancels a timer that was never set. */
export function cancelNothing(): void {}

/** Throws `OPTIONS_INVALID` unless it is a time that a timer can wait. */
export function requireDuration(name: string, ms: number): void {
  if (ms > 0 && ms <= longestTimerMs) return;
  throw new SecretsError(
    'OPTIONS_INVALID',
    `${name} is ${ms}. Give milliseconds, above 0 and at most ${longestTimerMs}.`,
  );
}
