import type {
  ProcessErrorArgs,
  ServiceBusClient,
  ServiceBusReceivedMessage,
  ServiceBusReceiver,
  ServiceBusReceiverOptions,
  SubscribeOptions,
} from '@azure/service-bus';
import { isNamespaceRefusal, withRetries, type AmqpRetryOptions } from './amqp-retry.ts';

/** A queue, or a subscription of a topic. */
export type QueueOrSubscription = string | { readonly topic: string; readonly subscription: string };

/** Settles messages on the connection that they came by. */
export type Settlement = Pick<
  ServiceBusReceiver,
  'completeMessage' | 'abandonMessage' | 'deferMessage' | 'deadLetterMessage' | 'renewMessageLock'
>;

export interface MessageHandlers {
  /** One message. Unless it was settled here, it is completed when this resolves, abandoned when it rejects. */
  processMessage(message: ServiceBusReceivedMessage, settlement: Settlement): Promise<void>;
  /** As with `ServiceBusReceiver.subscribe`. */
  processError(args: ProcessErrorArgs): Promise<void>;
}

/** The options of `createReceiver` and `subscribe`. */
export type ConsumeOptions = ServiceBusReceiverOptions & SubscribeOptions;

/** A receiver at work. */
export interface Consumer {
  /** Takes no further message, finishes those that it has, and closes the link. */
  stop(): Promise<void>;
}

/** Options are copied: the SDK changes what it is given. */
export function receiverOf(
  client: ServiceBusClient,
  from: QueueOrSubscription,
  options: ConsumeOptions,
): ServiceBusReceiver {
  return typeof from === 'string'
    ? client.createReceiver(from, { ...options })
    : client.createReceiver(from.topic, from.subscription, { ...options });
}

/**
 * Completing and abandoning is done here, not by the SDK, because nobody could tell otherwise when the last
 * message is done, and the receiver may be closed.
 */
export function startConsumer(
  receiver: ServiceBusReceiver,
  of: {
    readonly handlers: MessageHandlers;
    readonly options: ConsumeOptions;
    readonly retryOptions: AmqpRetryOptions;
    /** Its full name, for errors. */
    readonly namespace: string;
    /** The namespace refused the receiver's key. */
    readonly refused: () => void;
  },
): Consumer {
  const { handlers, options, retryOptions, namespace, refused } = of;
  const { autoCompleteMessages = true, abortSignal, ...others } = options;
  const settles = receiver.receiveMode === 'peekLock';
  const settled = new WeakSet<ServiceBusReceivedMessage>();
  const stopping = new AbortController();
  const working = new Set<Promise<void>>();
  let stopped: Promise<void> | undefined;

  const settling =
    <Rest extends unknown[]>(settle: (message: ServiceBusReceivedMessage, ...rest: Rest) => Promise<void>) =>
    async (message: ServiceBusReceivedMessage, ...rest: Rest): Promise<void> => {
      await withRetries(retryOptions, undefined, () => settle(message, ...rest));
      settled.add(message);
    };
  const settlement: Settlement = {
    completeMessage: settling((message) => receiver.completeMessage(message)),
    abandonMessage: settling((message, properties) => receiver.abandonMessage(message, properties)),
    deferMessage: settling((message, properties) => receiver.deferMessage(message, properties)),
    deadLetterMessage: settling((message, reason) => receiver.deadLetterMessage(message, reason)),
    renewMessageLock: (message) => receiver.renewMessageLock(message),
  };

  async function handle(message: ServiceBusReceivedMessage): Promise<void> {
    const isOpen = (): boolean => settles && !settled.has(message);
    try {
      await handlers.processMessage(message, settlement);
    } catch (error) {
      if (isOpen()) await settlement.abandonMessage(message).catch(() => {}); // its lock will expire
      throw error; // the SDK tells processError
    }
    if (!autoCompleteMessages || !isOpen()) return;
    await settlement.completeMessage(message).catch((error: Error) =>
      handlers.processError({
        error,
        errorSource: 'complete',
        entityPath: receiver.entityPath,
        fullyQualifiedNamespace: namespace,
        identifier: receiver.identifier,
      }),
    );
  }

  const subscription = receiver.subscribe(
    {
      async processMessage(message) {
        const work = handle(message);
        working.add(work);
        await work.finally(() => working.delete(work));
      },
      async processError(args) {
        if (isNamespaceRefusal(args.error)) refused();
        await handlers.processError(args);
      },
    },
    {
      ...others,
      autoCompleteMessages: false,
      // Ends the SDK's endless retries when the link could not be opened.
      abortSignal: abortSignal
        ? AbortSignal.any([abortSignal as AbortSignal, stopping.signal])
        : stopping.signal,
    },
  );

  return {
    stop() {
      stopped ??= (async () => {
        stopping.abort();
        await subscription.close(); // no further message
        while (working.size > 0) await Promise.allSettled(working);
        await receiver.close();
      })();
      return stopped;
    },
  };
}
