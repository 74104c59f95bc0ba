import {
  EventHubConsumerClient,
  EventHubProducerClient,
  type CheckpointStore,
  type CreateBatchOptions,
  type EventData,
  type EventDataBatch,
  type EventHubConsumerClientOptions,
  type SendBatchOptions,
  type SubscribeOptions,
  type SubscriptionEventHandlers,
} from '@azure/event-hubs';
import { follow, type Told } from '../follow.ts';
import type { Secret } from '../secret.ts';
import type { Secrets } from '../secrets.ts';
import { SecretsError } from '../secrets-error.ts';
import { closeAll } from './amqp-close.ts';
import { isNamespaceRefusal, withRetries } from './amqp-retry.ts';
import { openReader, type Reader } from './event-hubs-reader.ts';
import { namespaceLogin } from './namespace-login.ts';

export { namedKey, type NamedKey, type NamedKeyOptions } from './named-key.ts';

/** The options of the SDK's clients, and what else they are made with. */
export interface SecretHubOptions extends EventHubConsumerClientOptions {
  /** Needed when the value has no `EntityPath`. */
  readonly eventHubName?: string;
  /** Default `$Default`. */
  readonly consumerGroup?: string;
  /** Where progress is kept. Without it every subscription reads all partitions, from its start position. */
  readonly checkpointStore?: CheckpointStore;
  /** Told why the newest version could not be taken up. The old one stays, and it is tried again. */
  readonly failed?: (error: Error) => void;
  /** How long the proof of a new key may take, milliseconds; default 10,000. */
  readonly loginTimeoutMs?: number;
  /** After this long a connection that doesn't close is given up, milliseconds; default 60,000. */
  readonly closeTimeoutMs?: number;
}

/** An event hub, through whichever key is the newest. */
export interface SecretHub {
  /** Sends events, or a batch of `createBatch`. */
  send(events: EventData[] | EventDataBatch, options?: SendBatchOptions): Promise<void>;
  createBatch(options?: CreateBatchOptions): Promise<EventDataBatch>;
  /**
   * Handles events of all partitions until it is closed. Rejects if the first login fails. On a new version the
   * old receivers finish the events that they have, and the new ones go on behind them.
   */
  subscribe(
    handlers: SubscriptionEventHandlers,
    options?: SubscribeOptions,
  ): Promise<{ close(): Promise<void> }>;
  /** Waits for what is under way, then closes every connection. */
  close(): Promise<void>;
}

/** Clients whose connections authenticate with one version of a secret; each is made when it is needed. */
interface OneVersion {
  readonly producer: () => EventHubProducerClient;
  readonly consumer: () => EventHubConsumerClient;
  readonly made: { producer?: EventHubProducerClient; consumer?: EventHubConsumerClient };
  readonly told: Told;
}

/**
 * Opens an event hub whose key is a secret. On a new version it opens new connections, proves the new key at the
 * hub, moves over, and closes the old connections when their sends and events are done. The value is a connection
 * string, or JSON; see the README. Logs in at the first use.
 *
 * @example
 * const hub = openEventHub(secrets, 'clicks-hub', { eventHubName: 'clicks' });
 * await hub.send([{ body: { page: '/tea' } }]);
 * await hub.subscribe({
 *   processEvents: async (events) => count(events),
 *   processError: async (error) => log(error),
 * });
 */
export function openEventHub<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  options: SecretHubOptions = {},
): SecretHub {
  const {
    eventHubName,
    consumerGroup = EventHubConsumerClient.defaultConsumerGroupName,
    checkpointStore,
    failed,
    loginTimeoutMs,
    closeTimeoutMs,
    ...clientOptions
  } = options;
  const { retryOptions = {} } = clientOptions;
  const readers = new Set<Reader>();
  /** What every key has to be good for. */
  const used = { sending: false, receiving: false };

  const clients = follow<OneVersion, Name>(secrets, name, {
    open(secret, told) {
      const { connectionString, entityPath } = hubLogin(secret, eventHubName);
      const once = () => ({ ...clientOptions, retryOptions: { ...retryOptions, maxRetries: 0 } });
      const made: OneVersion['made'] = {};
      return {
        made,
        told,
        producer: () => (made.producer ??= new EventHubProducerClient(connectionString, entityPath, once())),
        consumer: () =>
          (made.consumer ??= checkpointStore
            ? new EventHubConsumerClient(consumerGroup, connectionString, entityPath, checkpointStore, once())
            : new EventHubConsumerClient(consumerGroup, connectionString, entityPath, once())),
      };
    },
    async prove(one) {
      await Promise.all([
        used.sending && one.producer().createBatch(), // opens the link
        // What any right is enough for, also when nothing has worked yet.
        (used.receiving ? one.consumer() : one.producer()).getPartitionIds(),
      ]);
    },
    async close(one) {
      const { producer, consumer } = one.made;
      if (consumer) await Promise.all([...readers].map((reader) => reader.leave(consumer)));
      // Where they left off, with the newest key; or nowhere, once all is closed.
      for (const reader of readers) if (!reader.isReading) await clients.use(join(reader)).catch(() => {});
      await closeAll([producer?.close(), consumer?.close()], closeTimeoutMs);
    },
    refused: isNamespaceRefusal,
    failed,
    loginTimeoutMs,
  });

  const join =
    (reader: Reader) =>
    (one: OneVersion): void =>
      reader.join(one.consumer(), () => void one.told.refused());

  async function using<Result>(
    what: keyof typeof used,
    signal: { readonly abortSignal?: unknown } | undefined,
    action: (one: OneVersion) => Promise<Result>,
  ): Promise<Result> {
    const wasUsed = used[what];
    used[what] = true; // before: the first login is proven with it
    try {
      const abortSignal = signal?.abortSignal as AbortSignal | undefined;
      const result = await withRetries(retryOptions, abortSignal, () => clients.use(action));
      used[what] = true;
      return result;
    } catch (error) {
      if (isNamespaceRefusal(error)) used[what] = wasUsed; // that right isn't ours, perhaps
      throw error;
    }
  }

  return {
    send: (events, sendOptions) =>
      using('sending', sendOptions, (one) => one.producer().sendBatch(events as EventDataBatch, sendOptions)),
    createBatch: (batchOptions) =>
      using('sending', batchOptions, (one) => one.producer().createBatch(batchOptions)),
    async subscribe(handlers, subscribeOptions = {}) {
      const reader = await using('receiving', undefined, async (one) => {
        const opened = await openReader(one.consumer(), {
          handlers,
          options: subscribeOptions,
          retryOptions,
        });
        readers.add(opened);
        join(opened)(one);
        return opened;
      });
      return {
        async close() {
          readers.delete(reader);
          await reader.leave();
        },
      };
    },
    close: () => clients.close(),
  };
}

/** Checked here, because the SDK's own complaints quote the whole connection string. */
function hubLogin(
  secret: Secret,
  eventHubName: string | undefined,
): { readonly connectionString: string; readonly entityPath: string } {
  const { connectionString, entityPath = eventHubName } = namespaceLogin(secret);
  if (entityPath !== undefined && (eventHubName ?? entityPath) === entityPath)
    return { connectionString, entityPath };
  const problem =
    entityPath === undefined
      ? 'names no event hub. Give the option eventHubName'
      : `is for the event hub ${entityPath}, but this client is for ${eventHubName}. Give the right eventHubName`;
  throw new SecretsError(
    'VALUE_FORMAT',
    `The value of ${secret.toString()} ${problem}, or store a value with EntityPath.`,
  );
}
