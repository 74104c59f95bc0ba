import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { databaseError } from '../journal/database-error.ts';
import { RotatorError } from '../rotator-error.ts';
import { gather } from '../journal/gather.ts';
import { createInbox, deleteHandled, eventOf, handOut, insertEvents } from './inbox-table.ts';
import type { VaultEvent } from './vault-event.ts';

/** Does what follows from an event. Called again if it throws, and after a crash: it must be safe to repeat. */
export type HandleEvent = (event: VaultEvent) => Promise<void>;

/** What came of one look into the inbox. */
export type Taken =
  | { readonly kind: 'nothing due' }
  | { readonly kind: 'handled'; readonly event: VaultEvent }
  /** It comes again in `nextInMs`, for ever: an event is never given up, others go first. */
  | {
      readonly kind: 'failed';
      readonly event: VaultEvent;
      readonly attempts: number;
      readonly nextInMs: number;
      readonly error: unknown;
    };

/** Events that are accepted and wait for what follows from them, across restarts and for every rotator. */
export interface Inbox {
  /**
   * Resolves when the events are stored. What is known already changes nothing, however often it comes: an event is
   * what it is about (vault, secret, version, kind), not its id. Throws `JOURNAL`.
   */
  accept(events: readonly VaultEvent[]): Promise<void>;
  /** Calls back whenever something new was stored through this inbox. Returns the way out. */
  onAccepted(listener: () => void): () => void;
  /** Handles the oldest event that is due and that no other process is at. Throws `JOURNAL`. */
  take(handle: HandleEvent): Promise<Taken>;
  /** Forgets what was handled longer ago than this, and says how many that were. Throws `JOURNAL`. */
  prune(options: { readonly keepMs: number }): Promise<number>;
}

export interface InboxOptions {
  /** The vault whose events are taken: those of another one that shares the database are left to its rotator. */
  readonly vault?: string;
  readonly clock: Clock;
  /** A number from 0 up to 1. */
  readonly random: () => number;
  /** A handler that takes longer has failed, so that a hanging one lets go of its event. */
  readonly handleWithinMs: number;
}

const firstDelayMs = 1_000;
const longestDelayMs = 10 * 60_000;
const mostAtOnce = 1_000;
const mostWaiting = 20_000;

/** Opens the inbox, in the table `keyturn.inbox`. `take` keeps one connection of the pool while its handler works. */
export async function openInbox(pool: pg.Pool, options: InboxOptions): Promise<Inbox> {
  const { clock, random, handleWithinMs, vault } = options;
  const listeners = new Set<() => void>();
  await asJournal(createInbox(pool));

  const store = gather<VaultEvent>({
    write: (events) => asJournal(insertEvents(pool, { events, acceptedAt: clock.now() })),
    mostAtOnce,
    mostWaiting,
    full: () =>
      new RotatorError('JOURNAL', `More than ${mostWaiting} events wait to be stored.`, {
        hint: 'See why the database is slow. Event Grid delivers again.',
      }),
  });

  return {
    async accept(events) {
      await store(events);
      for (const listener of listeners) listener();
    },
    onAccepted(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    take: (handle) =>
      asJournal(
        handOut<Taken>(pool, { now: clock.now(), vault }, async (row) => {
          const event = eventOf(row);
          const failure = await attempt(() => handle(event), handleWithinMs);
          if (failure === undefined)
            return { result: { kind: 'handled', event }, change: { handledAt: clock.now() } };
          const attempts = row.attempts + 1;
          const nextInMs = nextDelayMs(attempts, random);
          const result: Taken = { kind: 'failed', event, attempts, nextInMs, error: failure.error };
          return { result, change: { attempts, dueAt: clock.now() + nextInMs } };
        }),
      ),
    prune: ({ keepMs }) => asJournal(deleteHandled(pool, clock.now() - keepMs)),
  };
}

/** Grows with each attempt, and differs from event to event: what failed together does not come back together. */
function nextDelayMs(attempts: number, random: () => number): number {
  const delayMs = Math.min(firstDelayMs * 2 ** (attempts - 1), longestDelayMs);
  return Math.round(delayMs * (0.5 + random() / 2));
}

async function asJournal<T>(doing: Promise<T>): Promise<T> {
  try {
    return await doing;
  } catch (error) {
    throw databaseError(error);
  }
}

async function attempt(
  handling: () => Promise<void>,
  withinMs: number,
): Promise<{ readonly error: unknown } | undefined> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`It took longer than ${withinMs} ms.`)), withinMs);
  try {
    await Promise.race([handling(), late.promise]);
    return undefined;
  } catch (error) {
    return { error };
  } finally {
    clearTimeout(timer);
  }
}
