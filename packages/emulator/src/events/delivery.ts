import type { Timetable } from '../clock.ts';
import type { DeadLetterReason, Delivery, DeliveryQueue } from './delivery-queue.ts';
import type { Answer, Endpoints } from './endpoint.ts';
import { bodyIn, eventIn, versionHeaders } from './event-schemas.ts';
import { hasAgreed, type Subscription } from './subscriptions.ts';

// https://learn.microsoft.com/azure/event-grid/delivery-and-retry

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const retryDelaysMs = [
  10 * second,
  30 * second,
  minute,
  5 * minute,
  10 * minute,
  30 * minute,
  hour,
  3 * hour,
  6 * hour,
];
const lastRetryDelayMs = 12 * hour;

const notRetried = new Set([400, 401, 403, 413]);

const outcomes: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  408: 'TimedOut',
  413: 'PayloadTooLarge',
  429: 'Busy',
  503: 'Busy',
};

export interface Deliverer {
  /**
   * Tries when it is due, and again until it is delivered or given up. Resolves after the first attempt if that
   * is made now, or else at once.
   */
  deliver(delivery: Delivery): Promise<void>;
  /** The endpoint of this subscription agreed: goes on with what fell due while it had not. */
  resume(subscription: string): Promise<void>;
  /** Resolves when nothing is under way at this moment. */
  settled(): Promise<void>;
}

export function createDeliverer(ports: {
  readonly clock: Timetable;
  readonly queue: DeliveryQueue;
  readonly endpoints: Endpoints;
  readonly subscriptionOf: (name: string) => Subscription | undefined;
  /** An attempt could not be remembered. */
  readonly onFailure: (error: unknown) => void;
  readonly closing: AbortSignal;
}): Deliverer {
  const { clock, queue, closing } = ports;
  const underWay = new Set<Promise<void>>();
  /** Fell due for an endpoint that was replaced by one that has not agreed yet. */
  const held = new Map<string, Delivery>();
  const nowMs = (): number => clock.now().getTime();

  const deliver = async (delivery: Delivery): Promise<void> => {
    // What is due is tried now, even while the clock stands still.
    if (delivery.dueAt <= nowMs()) await attempt(delivery);
    else clock.at(delivery.dueAt, () => attempt(delivery));
  };

  const attempt = (delivery: Delivery): Promise<void> => {
    const trying = tryOnce(delivery)
      .catch(ports.onFailure)
      .finally(() => underWay.delete(trying));
    underWay.add(trying);
    return trying;
  };

  const tryOnce = async (delivery: Delivery): Promise<void> => {
    const subscription = ports.subscriptionOf(delivery.subscription);
    if (subscription === undefined || closing.aborted || !queue.isPending(delivery)) return;
    if (!hasAgreed(subscription)) return void held.set(delivery.key, delivery);
    const { settings } = subscription;
    // Looked at when an attempt is due, and only then.
    if (nowMs() - delivery.publishedAt > settings.eventTimeToLiveMinutes * minute)
      return queue.giveUp(delivery, 'TimeToLiveExceeded', settings.schema);

    const answer = await post(ports.endpoints, settings, delivery);
    if (closing.aborted || !queue.isPending(delivery)) return;
    if (answer.status !== undefined && answer.status >= 200 && answer.status <= 204)
      return queue.delivered(delivery);

    const last = { outcome: outcomeOf(answer), at: nowMs() };
    const tried = { ...delivery, attempts: delivery.attempts + 1, last };
    const reason = reasonToGiveUp(tried, answer, settings);
    if (reason !== undefined) return queue.giveUp(tried, reason, settings.schema);
    const next = { ...tried, dueAt: nowMs() + (retryDelaysMs[delivery.attempts] ?? lastRetryDelayMs) };
    queue.retry(next);
    void deliver(next);
  };

  return {
    deliver,
    async resume(name) {
      const released = [...held.values()].filter(({ subscription }) => subscription === name);
      for (const { key } of released) held.delete(key);
      await Promise.all(released.map(deliver));
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

function post(
  endpoints: Endpoints,
  settings: Subscription['settings'],
  { event, attempts }: Delivery,
): Promise<Answer> {
  const { schema } = settings;
  const { body, contentType } = bodyIn(schema, eventIn(schema, event));
  return endpoints.send(settings, {
    method: 'POST',
    headers: {
      'aeg-event-type': 'Notification',
      'aeg-delivery-count': String(attempts),
      ...versionHeaders(schema),
      'Content-Type': contentType,
    },
    body,
  });
}

function reasonToGiveUp(
  { attempts }: Delivery,
  { status }: Answer,
  { maxDeliveryAttempts }: Subscription['settings'],
): DeadLetterReason | undefined {
  if (status !== undefined && notRetried.has(status)) return 'UndeliverableDueToHttpStatusCode';
  if (attempts >= maxDeliveryAttempts) return 'MaxDeliveryAttemptsExceeded';
  return undefined;
}

const outcomeOf = (answer: Answer): string =>
  answer.status === undefined ? answer.outcome : (outcomes[answer.status] ?? String(answer.status));
