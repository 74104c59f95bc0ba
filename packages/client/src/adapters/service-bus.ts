import {
  ServiceBusClient,
  type CreateMessageBatchOptions,
  type OperationOptionsBase,
  type ServiceBusClientOptions,
  type ServiceBusMessage,
  type ServiceBusMessageBatch,
  type ServiceBusSender,
} from '@azure/service-bus';
import { follow, type Told } from '../follow.ts';
import type { Secrets } from '../secrets.ts';
import { SecretsError } from '../secrets-error.ts';
import { closeAll } from './amqp-close.ts';
import { isNamespaceRefusal, withRetries } from './amqp-retry.ts';
import { namespaceLogin } from './namespace-login.ts';
import {
  receiverOf,
  startConsumer,
  type Consumer,
  type ConsumeOptions,
  type MessageHandlers,
  type QueueOrSubscription,
} from './service-bus-consumer.ts';

export { namedKey, type NamedKey, type NamedKeyOptions } from './named-key.ts';
export type {
  ConsumeOptions,
  MessageHandlers,
  QueueOrSubscription,
  Settlement,
} from './service-bus-consumer.ts';

/** The options of `ServiceBusClient`, and what happens to a new version that doesn't work. */
export interface SecretBusOptions extends ServiceBusClientOptions {
  /** Told why the newest version could not be taken up. The old one stays, and it is tried again. */
  readonly failed?: (error: Error) => void;
  /** How long the proof of a new key may take, milliseconds; default 10,000. */
  readonly loginTimeoutMs?: number;
  /** After this long a connection that doesn't close is given up, milliseconds; default 60,000. */
  readonly closeTimeoutMs?: number;
}

/** A namespace of Service Bus, through whichever key is the newest. */
export interface SecretBus {
  /** Sends messages, or a batch of `createBatch`, to a queue or topic. */
  send(
    queueOrTopic: string,
    messages: ServiceBusMessage | ServiceBusMessage[] | ServiceBusMessageBatch,
    options?: OperationOptionsBase,
  ): Promise<void>;
  createBatch(queueOrTopic: string, options?: CreateMessageBatchOptions): Promise<ServiceBusMessageBatch>;
  /**
   * Handles messages until it is closed. Rejects if the first login fails. On a new version, a new receiver takes
   * over, while the old one finishes the messages that it has.
   */
  subscribe(
    from: QueueOrSubscription,
    handlers: MessageHandlers,
    options?: ConsumeOptions,
  ): Promise<{ close(): Promise<void> }>;
  /** Waits for what is under way, then closes every connection. */
  close(): Promise<void>;
}

/** A client whose connection authenticates with one version of a secret. */
interface OneVersion {
  readonly client: ServiceBusClient;
  readonly told: Told;
  readonly senders: Map<string, ServiceBusSender>;
  readonly consumers: Map<Subscribed, Consumer>;
}

interface Subscribed {
  readonly from: QueueOrSubscription;
  readonly handlers: MessageHandlers;
  readonly options: ConsumeOptions;
  /** Its receivers, on whichever connection. */
  readonly running: Set<Consumer>;
}

/**
 * Opens a namespace of Service Bus whose key is a secret. On a new version it opens a second connection, proves
 * the new key at every queue and topic that was used, moves over, and closes the old connection when its sends and
 * messages are done. The value is a connection string, or JSON; see the README. Logs in at the first use.
 *
 * @example
 * const bus = openServiceBus(secrets, 'orders-bus');
 * await bus.send('orders', { body: { item: 'tea' } });
 * await bus.subscribe('orders', {
 *   processMessage: async ({ body }) => brew(body), // completed when it resolves, abandoned when it rejects
 *   processError: async ({ error }) => log(error),
 * });
 */
export function openServiceBus<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  options: SecretBusOptions = {},
): SecretBus {
  const { failed, loginTimeoutMs, closeTimeoutMs, ...clientOptions } = options;
  const { retryOptions = {} } = clientOptions;
  const subscribed = new Set<Subscribed>();
  /** What every key has to be proven at: the names of senders, and the ends that were listened at. */
  const used = { sending: new Map<string, string>(), listening: new Map<string, QueueOrSubscription>() };

  const clients = follow<OneVersion, Name>(secrets, name, {
    open(secret, told) {
      const { connectionString } = namespaceLogin(secret);
      const once = { ...clientOptions, retryOptions: { ...retryOptions, maxRetries: 0 } };
      const client = new ServiceBusClient(connectionString, once);
      return { client, told, senders: new Map(), consumers: new Map() };
    },
    async prove(one, signal) {
      await proveEach([
        ...[...used.sending.keys()].map((to) => senderOf(one, to).createMessageBatch()),
        ...[...used.listening.values()].map((from) => proveListening(one, from)),
      ]);
      signal.throwIfAborted();
      for (const each of subscribed) consume(one, each);
    },
    async close(one) {
      // Who subscribed while the next version was being proven isn't there yet.
      for (const each of one.consumers.keys())
        if (subscribed.has(each)) await clients.use((next) => consume(next, each)).catch(() => {});
      await Promise.all(
        [...one.consumers].map(([each, consumer]) =>
          consumer.stop().finally(() => each.running.delete(consumer)),
        ),
      );
      await closeAll([one.client.close()], closeTimeoutMs);
    },
    refused: isNamespaceRefusal,
    failed,
    loginTimeoutMs,
  });

  function consume(one: OneVersion, each: Subscribed): void {
    if (one.consumers.has(each)) return;
    const consumer = startConsumer(receiverOf(one.client, each.from, each.options), {
      ...each,
      retryOptions,
      namespace: one.client.fullyQualifiedNamespace,
      refused: () => void one.told.refused(),
    });
    one.consumers.set(each, consumer);
    each.running.add(consumer);
  }

  const sending = async <Result>(
    to: string,
    signal: { readonly abortSignal?: unknown } | undefined,
    action: (sender: ServiceBusSender) => Promise<Result>,
  ): Promise<Result> =>
    proving(used.sending, to, to, () =>
      withRetries(retryOptions, signal?.abortSignal as AbortSignal | undefined, () =>
        clients.use((one) => action(senderOf(one, to))),
      ),
    );

  return {
    send: (to, messages, sendOptions) =>
      sending(to, sendOptions, (sender) => sender.sendMessages(messages, sendOptions)),
    createBatch: (to, batchOptions) =>
      sending(to, batchOptions, (sender) => sender.createMessageBatch(batchOptions)),
    async subscribe(from, handlers, consumeOptions = {}) {
      const each: Subscribed = { from, handlers, options: consumeOptions, running: new Set() };
      await proving(used.listening, JSON.stringify(from), from, () =>
        withRetries(retryOptions, undefined, () =>
          clients.use(async (one) => {
            await proveListening(one, from);
            subscribed.add(each);
            consume(one, each);
          }),
        ),
      );
      return {
        async close() {
          subscribed.delete(each);
          await Promise.all([...each.running].map((consumer) => consumer.stop()));
        },
      };
    },
    close: () => clients.close(),
  };
}

function senderOf({ client, senders }: OneVersion, to: string): ServiceBusSender {
  const sender = senders.get(to) ?? client.createSender(to);
  senders.set(to, sender);
  return sender;
}

/** What worked once has to work with every later key; what never did is no reason to refuse one. */
async function proving<Key, Value, Result>(
  used: Map<Key, Value>,
  key: Key,
  value: Value,
  action: () => Promise<Result>,
): Promise<Result> {
  const isKnown = used.has(key);
  used.set(key, value); // before: the first login is proven with it
  try {
    const result = await action();
    used.set(key, value);
    return result;
  } catch (error) {
    if (!isKnown && (isNamespaceRefusal(error) || isGone(error))) used.delete(key);
    throw error;
  }
}

/** Looks at the first message, if there is one, and takes none. */
async function proveListening({ client }: OneVersion, from: QueueOrSubscription): Promise<void> {
  const receiver = receiverOf(client, from, {});
  await receiver.peekMessages(1);
  await receiver.close();
}

/** A queue that was deleted since proves nothing, neither that a key works nor that it doesn't. */
async function proveEach(proofs: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(proofs);
  const failures = outcomes.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
  );
  const failure = failures.find((error) => !isGone(error));
  if (failure !== undefined) throw failure;
  if (failures.length < outcomes.length) return;
  throw (
    failures[0] ?? new SecretsError('OPTIONS_INVALID', 'There is no queue or topic to prove a key at yet.')
  );
}

const isGone = (error: unknown): boolean => (error as { code?: unknown }).code === 'MessagingEntityNotFound';
