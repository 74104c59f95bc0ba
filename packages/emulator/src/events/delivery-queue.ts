import type { ChangeLog } from '../change-log.ts';
import { eventIn, type EventSchema, type GridEvent } from './event-schemas.ts';

/** An event on its way to one subscription. */
export interface Delivery {
  readonly key: string;
  readonly subscription: string;
  readonly event: GridEvent;
  /** How often it was tried. */
  readonly attempts: number;
  /** Epoch milliseconds by the emulator's clock. */
  readonly publishedAt: number;
  readonly dueAt: number;
  /** What came of the last attempt, and when, if there was one. */
  readonly last?: { readonly outcome: string; readonly at: number };
}

/** An event that was given up, in the schema of its subscription, with the reason. */
export interface DeadLetter {
  readonly subscription: string;
  readonly event: Readonly<Record<string, unknown>>;
}

export type DeadLetterReason =
  | 'MaxDeliveryAttemptsExceeded'
  | 'TimeToLiveExceeded'
  | 'UndeliverableDueToHttpStatusCode';

/** Everything that is not delivered yet, and what never will be. */
export interface DeliveryQueue {
  add(delivery: Delivery): void;
  /** Keeps it for another attempt. */
  retry(delivery: Delivery): void;
  delivered(delivery: Delivery): void;
  giveUp(delivery: Delivery, reason: DeadLetterReason, schema: EventSchema): void;
  /** Forgets what waits for a subscription that is gone. */
  drop(subscription: string): void;
  pending(): readonly Delivery[];
  isPending(delivery: Delivery): boolean;
  /** The latest 1,000. */
  deadLetters(): readonly DeadLetter[];
}

type Change =
  | { readonly kind: 'waits'; readonly delivery: Delivery }
  | { readonly kind: 'delivered'; readonly key: string }
  | { readonly kind: 'dead'; readonly key: string; readonly letter: DeadLetter }
  | { readonly kind: 'dropped'; readonly subscription: string };

const keptDeadLetters = 1_000;

// What Event Grid calls an endpoint that it doesn't deliver to for the time being.
const neverTried = 'Probation';

export function openDeliveryQueue(log: ChangeLog): DeliveryQueue {
  const waiting = new Map<string, Delivery>();
  const dead: DeadLetter[] = [];

  const changes = log.open<Change>('deliveries', {
    apply(change) {
      if (change.kind === 'waits') waiting.set(change.delivery.key, change.delivery);
      if (change.kind === 'delivered' || change.kind === 'dead') waiting.delete(change.key);
      if (change.kind === 'dead') dead.push(change.letter);
      if (dead.length > keptDeadLetters) dead.shift();
      if (change.kind === 'dropped')
        for (const { key, subscription } of waiting.values())
          if (subscription === change.subscription) waiting.delete(key);
    },
    *snapshot() {
      for (const delivery of waiting.values()) yield { kind: 'waits', delivery };
      for (const letter of dead) yield { kind: 'dead', key: '', letter };
    },
  });

  const waits = (delivery: Delivery): void => changes.append({ kind: 'waits', delivery });
  return {
    add: waits,
    retry: waits,
    delivered: ({ key }) => changes.append({ kind: 'delivered', key }),
    giveUp: (delivery, reason, schema) =>
      changes.append({ kind: 'dead', key: delivery.key, letter: letterOf(delivery, reason, schema) }),
    drop: (subscription) => changes.append({ kind: 'dropped', subscription }),
    pending: () => [...waiting.values()],
    isPending: ({ key }) => waiting.has(key),
    deadLetters: () => [...dead],
  };
}

/** What Event Grid adds to an event that it gives up; CloudEvents knows attributes in small letters only. */
function letterOf(
  { subscription, event, attempts, publishedAt, last }: Delivery,
  reason: DeadLetterReason,
  schema: EventSchema,
): DeadLetter {
  const added = {
    deadLetterReason: reason,
    deliveryAttempts: attempts,
    lastDeliveryOutcome: last?.outcome ?? neverTried,
    publishTime: new Date(publishedAt).toISOString(),
    ...(last === undefined ? {} : { lastDeliveryAttemptTime: new Date(last.at).toISOString() }),
  };
  const named =
    schema === 'cloudEvents'
      ? Object.fromEntries(Object.entries(added).map(([name, value]) => [name.toLowerCase(), value]))
      : added;
  return { subscription, event: { ...eventIn(schema, event), ...named } };
}
