import type { Clock } from '../clock.ts';
import { cloudEvent } from './cloud-event.ts';
import { deliver, type Target } from './deliver.ts';
import { isForPeople } from './event-kinds.ts';
import { factsOf } from './facts.ts';
import type { Notice } from './notice.ts';
import { openRepeats } from './repeats.ts';
import { openTargetQueue, type NotifierReport, type TargetCounts } from './target-queue.ts';

export interface NotifierOptions {
  /** The vault's URL: the source of every event. */
  readonly vault: string;
  readonly targets: readonly Target[];
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly fetch?: typeof fetch;
  readonly report: (line: NotifierReport) => void;
  /** A target that has not answered for this long has failed. */
  readonly requestTimeoutMs?: number;
  /** How many messages may wait for one target. */
  readonly mostWaiting?: number;
}

export interface Notifier {
  /** Takes note and returns at once: no target can hold up who tells. */
  notify(notice: Notice): void;
  counts(): readonly TargetCounts[];
  /** Resolves when nothing waits to be delivered. */
  idle(): Promise<void>;
  /** Ends what is under way. What still waits is lost, and counted in the report. */
  close(): Promise<void>;
}

/**
 * Tells people and machines what becomes of rotations. It remembers in memory only: what waits at a crash is lost,
 * and what a resumed rotation reports again is told again, under the same id.
 *
 * @example
 * const notifier = openNotifier({ vault: vault.url, targets, clock: systemClock, random: Math.random, report });
 * const rotator = await openRotator({ …, report: (record) => notifier.notify(record) });
 */
export function openNotifier(options: NotifierOptions): Notifier {
  const { vault, targets, clock, random, report, requestTimeoutMs = 10_000, mostWaiting = 1_000 } = options;
  const repeats = openRepeats();
  const closing = new AbortController();
  const delivering = {
    clock,
    fetch: options.fetch ?? fetch,
    timeoutMs: requestTimeoutMs,
    closing: closing.signal,
  };
  const queues = targets.map((target) => ({
    hearsAll: hearsAll(target),
    queue: openTargetQueue({
      target: target.name,
      attempt: (event) => deliver(target, event, delivering),
      clock,
      random,
      report,
      most: mostWaiting,
    }),
  }));

  return {
    notify(notice) {
      const facts = factsOf(notice);
      if (facts === undefined) return;
      const telling = repeats.due(facts, clock.now());
      if (telling === undefined) return;
      const { data } = facts;
      const forPeople = isForPeople(facts.kind, telling.alarmed);
      const event = cloudEvent(facts, { vault, ...telling });
      const rotation = `${data.secret}@${data.from}`;
      for (const target of queues)
        if (target.hearsAll || forPeople) target.queue.add({ rotation, forPeople, event });
    },
    counts: () => queues.map(({ queue }) => queue.counts()),
    async idle() {
      await Promise.all(queues.map(({ queue }) => queue.idle()));
    },
    async close() {
      closing.abort();
      await Promise.all(queues.map(({ queue }) => queue.close()));
    },
  };
}

function hearsAll({ about, format }: Target): boolean {
  return (about ?? (format === 'webhook' ? 'everything' : 'people')) === 'everything';
}
