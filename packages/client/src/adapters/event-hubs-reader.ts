import { setTimeout as sleep } from 'node:timers/promises';
import {
  earliestEventPosition,
  latestEventPosition,
  type EventHubConsumerClient,
  type EventPosition,
  type SubscribeOptions,
  type Subscription,
  type SubscriptionEventHandlers,
} from '@azure/event-hubs';
import { isNamespaceRefusal, retryDelayMs, type AmqpRetryOptions } from './amqp-retry.ts';

/** A subscription that can move from one client to the next, and goes on where it was. */
export interface Reader {
  readonly isReading: boolean;
  /** Reads through this client, from behind the last event that was handled. */
  join(client: EventHubConsumerClient, refused: () => void): void;
  /** Takes no further events, and finishes those that it has. Does nothing if it reads through another client. */
  leave(from?: EventHubConsumerClient): Promise<void>;
}

/**
 * Notes where each partition begins. `latest` must become a number here: after a move it would be the latest of
 * another moment, and what came in between would be lost.
 */
export async function openReader(
  client: EventHubConsumerClient,
  of: {
    readonly handlers: SubscriptionEventHandlers;
    readonly options: SubscribeOptions;
    readonly retryOptions: AmqpRetryOptions;
  },
): Promise<Reader> {
  const { handlers, options, retryOptions } = of;
  const positions = await startPositions(client, options.startPosition);
  const working = new Set<Promise<void>>();
  let reading:
    | { readonly client: EventHubConsumerClient; readonly subscription: Subscription; stop: AbortController }
    | undefined;

  async function handle(
    ...[events, context]: Parameters<SubscriptionEventHandlers['processEvents']>
  ): Promise<void> {
    await handlers.processEvents(events, context);
    const last = events.at(-1);
    if (last) positions[context.partitionId] = { sequenceNumber: last.sequenceNumber, isInclusive: false };
  }

  return {
    get isReading() {
      return reading !== undefined;
    },
    join(next, refused) {
      if (reading) return;
      const stop = new AbortController();
      const failures = new Map<string, number>(); // in a row, by partition
      const subscription = next.subscribe(
        {
          ...handlers,
          async processEvents(events, context) {
            failures.delete(context.partitionId);
            const work = handle(events, context);
            working.add(work);
            await work.finally(() => working.delete(work));
          },
          async processError(error, context) {
            if (isNamespaceRefusal(error)) refused();
            await handlers.processError(error, context);
            // The SDK begins again at once, its own retries with their delay being off. Once is fine.
            const before = failures.get(context.partitionId) ?? 0;
            failures.set(context.partitionId, before + 1);
            if (before === 0) return;
            await pause(retryDelayMs(retryOptions, before), stop.signal);
          },
        },
        { ...options, startPosition: { ...positions } },
      );
      reading = { client: next, subscription, stop };
    },
    async leave(from) {
      if (!reading || (from && from !== reading.client)) return;
      const { subscription, stop } = reading;
      stop.abort();
      await subscription.close(); // doesn't wait for the handlers
      while (working.size > 0) await Promise.allSettled(working);
      reading = undefined;
    },
  };
}

async function startPositions(
  client: EventHubConsumerClient,
  wanted: SubscribeOptions['startPosition'],
): Promise<Record<string, EventPosition>> {
  const ids = await client.getPartitionIds();
  const positions = ids.map(async (id) => {
    const position = isPosition(wanted) ? wanted : wanted?.[id];
    if (position && position.offset !== latestEventPosition.offset) return [id, position] as const;
    const { isEmpty, lastEnqueuedSequenceNumber } = await client.getPartitionProperties(id);
    const latest = { sequenceNumber: lastEnqueuedSequenceNumber, isInclusive: false };
    return [id, isEmpty ? earliestEventPosition : latest] as const;
  });
  return Object.fromEntries(await Promise.all(positions));
}

function isPosition(wanted: SubscribeOptions['startPosition']): wanted is EventPosition {
  return ['offset', 'sequenceNumber', 'enqueuedOn'].some((field) => field in (wanted ?? {}));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {}); // cut short
}
