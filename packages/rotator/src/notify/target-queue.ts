import type { Clock } from '../clock.ts';
import type { CloudEvent } from './cloud-event.ts';
import type { Delivery } from './deliver.ts';

/** One line of log about a target; it holds neither URL nor secret. */
export type NotifierReport = { readonly target: string } & (
  | { readonly kind: 'failing'; readonly why: string }
  | { readonly kind: 'recovered'; readonly afterMs: number }
  | { readonly kind: 'gave up'; readonly messages: number; readonly why: string }
  /** Too much waits: the first drop since the queue was last empty. `counts()` has the number. */
  | { readonly kind: 'dropping'; readonly most: number }
  | { readonly kind: 'closed with messages left'; readonly messages: number }
);

export interface TargetCounts {
  readonly target: string;
  readonly waiting: number;
  readonly delivered: number;
  /** Left out because too much waited. */
  readonly dropped: number;
  /** Refused by the target, or tried for a day. */
  readonly gaveUp: number;
}

interface Message {
  readonly rotation: string;
  readonly forPeople: boolean;
  readonly event: CloudEvent;
}

export interface TargetQueue {
  add(message: Message): void;
  counts(): TargetCounts;
  /** Resolves when nothing waits. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

export interface QueueOptions {
  readonly target: string;
  readonly attempt: (event: CloudEvent) => Promise<Delivery>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly report: (line: NotifierReport) => void;
  /** How many messages may wait. */
  readonly most: number;
}

interface Waiting extends Message {
  readonly since: number;
  tries: number;
  notBefore: number;
}

const firstDelayMs = 1_000;
const longestDelayMs = 300_000;
const giveUpAfterMs = 86_400_000;
/** So that a new message is seen soon, and closing waits no longer than this. */
const napMs = 1_000;
const failuresBeforeReport = 3;

/** Delivers to one target, the messages of one rotation in their order. Nothing here ever waits for anybody else. */
export function openTargetQueue(options: QueueOptions): TargetQueue {
  const { target, attempt, clock, random, report, most } = options;
  const queue: Waiting[] = [];
  const count = { delivered: 0, dropped: 0, gaveUp: 0 };
  const failing = { times: 0, since: 0, notBefore: 0, why: '' };
  let underWay: Waiting | undefined;
  let dropping = false;
  let closed = false;
  let working: Promise<void> | undefined;

  function remove(message: Waiting): void {
    const index = queue.indexOf(message);
    if (index !== -1) queue.splice(index, 1);
  }

  /** What only machines keep goes first. */
  function dropOne(): void {
    const free = queue.filter((message) => message !== underWay);
    const victim = free.find(({ forPeople }) => !forPeople) ?? free[0];
    if (victim === undefined) return;
    remove(victim);
    count.dropped += 1;
    if (!dropping) report({ kind: 'dropping', target, most });
    dropping = true;
  }

  function giveUp(messages: readonly Waiting[], why: string): void {
    if (messages.length === 0) return;
    messages.forEach(remove);
    count.gaveUp += messages.length;
    report({ kind: 'gave up', target, messages: messages.length, why });
  }

  /** The first message of each rotation; of those the one that was tried least, so that none holds up the others. */
  function next(): Waiting | undefined {
    const heads = new Map<string, Waiting>();
    for (const message of queue) if (!heads.has(message.rotation)) heads.set(message.rotation, message);
    return [...heads.values()]
      .filter(({ notBefore }) => notBefore <= clock.now())
      .toSorted((one, other) => one.tries - other.tries)[0];
  }

  function settle(message: Waiting, delivery: Delivery): void {
    if (delivery.ok || delivery.final) {
      remove(message);
      if (failing.times >= failuresBeforeReport)
        report({ kind: 'recovered', target, afterMs: clock.now() - failing.since });
      failing.times = 0;
      if (delivery.ok) count.delivered += 1;
      else giveUp([message], delivery.why);
      return;
    }
    const { why, retryAfterMs = 0 } = delivery;
    if (failing.times === 0) failing.since = clock.now();
    failing.times += 1;
    failing.why = why;
    if (failing.times === failuresBeforeReport) report({ kind: 'failing', target, why });
    message.tries += 1;
    failing.notBefore = clock.now() + Math.max(retryAfterMs, delayMs(failing.times, random));
    message.notBefore = clock.now() + Math.max(retryAfterMs, delayMs(message.tries, random));
  }

  async function work(): Promise<void> {
    while (queue.length > 0 && !closed) {
      const tooOld = clock.now() - giveUpAfterMs;
      giveUp(
        queue.filter(({ since }) => since <= tooOld),
        failing.why,
      );
      underWay = failing.notBefore <= clock.now() ? next() : undefined;
      if (underWay) settle(underWay, await attempt(underWay.event));
      else if (queue.length > 0) await clock.sleep(napMs);
      underWay = undefined;
    }
    if (queue.length === 0) dropping = false;
    working = undefined; // at once, or a message that comes now would find a worker that works no more
  }

  return {
    add(message) {
      if (closed) return;
      queue.push({ ...message, since: clock.now(), tries: 0, notBefore: 0 });
      if (queue.length > most) dropOne();
      working ??= Promise.resolve().then(work);
    },
    counts: () => ({ target, waiting: queue.length, ...count }),
    async idle() {
      while (working) await working;
    },
    async close() {
      closed = true;
      await working;
      if (queue.length > 0) report({ kind: 'closed with messages left', target, messages: queue.length });
    },
  };
}

/** Doubles up to the longest, and takes a random half off, so that rotators don't call in step. */
function delayMs(times: number, random: () => number): number {
  return Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(times - 1, 20)) * (0.5 + random() / 2);
}
