import type { Channel, ConfirmChannel, Options } from 'amqplib';
import { follow } from '../follow.ts';
import type { Secrets } from '../secrets.ts';
import { isRefusedLogin, openBrokerConnection } from './amqp-connection.ts';
import type { BrokerConnection, Consumer, Delivered } from './amqp-connection.ts';
import { amqpLogin } from './amqp-login.ts';

/** What the value leaves out, and what amqplib takes besides. */
export interface BrokerOptions extends Omit<Options.Connect, 'username' | 'password' | 'credentials'> {
  /** Options of the socket, as `amqplib.connect` takes them: a CA, for example. */
  readonly socket?: object;
}

export interface ConsumeOptions extends Options.Consume {
  /** How many messages may be under way; default 10. */
  readonly prefetch?: number;
}

/** A broker with a login that changes. */
export interface SecretBroker {
  /** Publishes, and resolves when the broker has confirmed it. */
  publish(exchange: string, routingKey: string, content: Buffer, options?: Options.Publish): Promise<void>;
  /** Lends the channel of the newest login until `action` settles: `assertQueue`, `bindQueue`, `get` … */
  use<Result>(action: (channel: ConfirmChannel) => Result | Promise<Result>): Promise<Result>;
  /**
   * Consumes a queue, on a channel of its own. `handle` acknowledges on the channel that it is given, and is under way
   * until its promise settles. At a swap the new connection consumes before the old one stops: a queue with a single
   * active consumer, or an exclusive one, can't be consumed so. Resolves with what ends it.
   */
  consume(
    queue: string,
    handle: (message: Delivered, channel: Channel) => unknown,
    options?: ConsumeOptions,
  ): Promise<() => Promise<void>>;
  /** Lets everything under way finish, and closes. */
  close(): Promise<void>;
  /** `error`: a login or a reconnection failed; it is tried again. Without a listener it is ignored. */
  on(event: 'error', listener: (error: Error) => void): SecretBroker;
}

/**
 * RabbitMQ through amqplib, with a connection that is replaced when the secret changes: the new one logs in and
 * consumes first, then the old one finishes what it has and closes. A connection that the broker ends is made anew.
 * The value is an `amqp://` URL or JSON (`host`, `port`, `vhost`, `username`, `password`). Loads the secret at the first
 * use.
 *
 * @example
 * const broker = openBroker(secrets, 'orders-mq');
 * await broker.publish('', 'orders', Buffer.from('tea'));
 * await broker.consume('orders', async (message, channel) => {
 *   await brew(message.content);
 *   channel.ack(message);
 * });
 */
export function openBroker<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  { socket = {}, ...options }: BrokerOptions = {},
): SecretBroker {
  const listeners = new Set<(error: Error) => void>();
  const consumers = new Set<Consumer>();
  const failed = (error: Error): void => {
    // Apart, so that a listener that throws is seen but stops no swap half-way.
    for (const listener of listeners) queueMicrotask(() => listener(error));
  };

  const connections = follow<BrokerConnection, Name>(secrets, name, {
    open: (secret, told) =>
      openBrokerConnection({
        login: { ...options, ...amqpLogin(secret) },
        socketOptions: socket,
        told,
        consumers,
        failed,
      }),
    prove: (connection) => connection.open(),
    close: (connection) => connection.close(),
    refused: isRefusedLogin,
    failed,
  });

  const use: SecretBroker['use'] = (action) =>
    connections.use(async (connection) => action(await connection.channel()));

  const broker: SecretBroker = {
    use,
    publish: (exchange, routingKey, content, publishOptions = {}) =>
      use(
        (channel) =>
          new Promise<void>((resolve, reject) => {
            channel.publish(exchange, routingKey, content, publishOptions, (error: Error | null) => {
              if (error) reject(error);
              else resolve();
            });
          }),
      ),
    async consume(queue, handle, { prefetch = 10, ...consumeOptions } = {}) {
      const consumer = { queue, handle, prefetch, options: consumeOptions };
      await connections.use(async (connection) => {
        consumers.add(consumer);
        await connection.start(consumer).catch((error: unknown) => {
          consumers.delete(consumer);
          throw error;
        });
      });
      return async () => {
        consumers.delete(consumer);
        await Promise.all(connections.open.map((connection) => connection.stop(consumer)));
      };
    },
    close: () => connections.close(),
    on(_event, listener) {
      listeners.add(listener);
      return broker;
    },
  };
  return broker;
}
