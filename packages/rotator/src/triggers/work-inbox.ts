import type { HandleEvent, Inbox, Taken } from './inbox.ts';

/** What the work at the inbox tells whoever watches. */
export type InboxReport =
  | Exclude<Taken, { readonly kind: 'nothing due' }>
  /** The database is away; it is looked at again at the next poll. */
  | { readonly kind: 'inbox unreadable'; readonly error: unknown };

export interface InboxWorkOptions {
  readonly inbox: Inbox;
  readonly handle: HandleEvent;
  /** So many events are handled side by side, so that a slow one does not hold up the others. */
  readonly atOnce: number;
  /** What this process accepts is handled at once; the poll is for retries, and for what a process left that died. */
  readonly pollMs: number;
  /** How long a handled event is remembered. Longer than Event Grid repeats it, which is for a day. */
  readonly keepMs: number;
  readonly report: (report: InboxReport) => void;
}

const pruneEveryMs = 3_600_000;

/** Works off the inbox until it is told to stop; stopping waits for the handlers that are at work. */
export function workInbox(options: InboxWorkOptions): { stop(): Promise<void> } {
  const { inbox, handle, atOnce, pollMs, keepMs, report } = options;
  let stopping = false;
  let news = 0;
  let wake = Promise.withResolvers<void>();

  function rouse(): void {
    news += 1;
    wake.resolve();
    wake = Promise.withResolvers();
  }

  async function attend(): Promise<void> {
    while (!stopping) {
      const seen = news;
      const busy = await takeOne();
      if (!busy && !stopping && seen === news) await sleepUntil(wake.promise, pollMs);
    }
  }

  async function takeOne(): Promise<boolean> {
    try {
      const taken = await inbox.take(handle);
      if (taken.kind === 'nothing due') return false;
      report(taken);
      return true;
    } catch (error) {
      report({ kind: 'inbox unreadable', error });
      return false;
    }
  }

  const prune = () =>
    inbox.prune({ keepMs }).catch((error: unknown) => report({ kind: 'inbox unreadable', error }));
  const pruning = setInterval(() => void prune(), pruneEveryMs);
  const unsubscribe = inbox.onAccepted(rouse);
  const working = [prune(), ...Array.from({ length: atOnce }, attend)];
  return {
    async stop() {
      stopping = true;
      clearInterval(pruning);
      unsubscribe();
      rouse();
      await Promise.all(working);
    },
  };
}

async function sleepUntil(woken: Promise<void>, ms: number): Promise<void> {
  const timer = Promise.withResolvers<void>();
  const timeout = setTimeout(timer.resolve, ms);
  await Promise.race([woken, timer.promise]);
  clearTimeout(timeout);
}
