import { connect, type Channel, type ChannelModel, type ConfirmChannel, type Options } from 'amqplib';
import { backoffMs } from '../backoff.ts';
import { cancelNothing, systemClock } from '../clock.ts';
import type { Told } from '../follow.ts';

/** What an application consumes: set up anew on every connection. */
export interface Consumer {
  readonly queue: string;
  /** Called for each message; it is under way until the promise settles. */
  readonly handle: (message: Delivered, channel: Channel) => unknown;
  readonly prefetch: number;
  readonly options: Options.Consume;
}

export type Delivered = Exclude<Parameters<Parameters<Channel['consume']>[1]>[0], null>;

/** A connection to a broker with one login. It connects again by itself until it is closed. */
export interface BrokerConnection {
  /** Connects for the first time, and starts what is consumed. Throws what the broker said. */
  open(): Promise<void>;
  /** The channel to publish on, as soon as there is a connection. */
  channel(): Promise<ConfirmChannel>;
  start(consumer: Consumer): Promise<void>;
  /** Takes no more messages, and resolves when those under way are through. */
  stop(consumer: Consumer): Promise<void>;
  /** Stops everything that is consumed, and closes. */
  close(): Promise<void>;
}

interface Connected {
  readonly model: ChannelModel;
  /** Made anew after the broker closed it, as it does for every mistake. */
  publishing: Promise<ConfirmChannel> | undefined;
  readonly consuming: Map<Consumer, Consuming>;
}

interface Consuming {
  readonly channel: Channel;
  readonly tag: string;
  readonly underWay: Set<Promise<unknown>>;
}

export function openBrokerConnection(at: {
  readonly login: Options.Connect;
  readonly socketOptions: object;
  readonly told: Told;
  readonly consumers: ReadonlySet<Consumer>;
  readonly failed: (error: Error) => void;
}): BrokerConnection {
  let connected = Promise.withResolvers<Connected>();
  let current: Connected | undefined;
  let failures = 0;
  let closed = false;
  let cancelRetry = cancelNothing;

  async function connectOnce(): Promise<void> {
    const model = await connect(at.login, at.socketOptions);
    if (closed) return model.close();
    model.on('error', () => {}); // 'close' follows
    model.on('close', () => lost());
    try {
      const now: Connected = { model, publishing: undefined, consuming: new Map() };
      await publishingOn(now);
      for (const consumer of at.consumers) await start(now, consumer).catch(unlessGone(now, consumer));
      if (closed) return await closeNow(now);
      failures = 0;
      current = now;
      connected.resolve(now);
    } catch (error) {
      await model.close().catch(() => {});
      throw error;
    }
  }

  async function closeNow({ model, consuming }: Connected): Promise<void> {
    await Promise.all([...consuming.keys()].map((consumer) => stopConsuming(consuming, consumer)));
    await model.close().catch(() => {}); // the broker was faster
  }

  async function start(now: Connected, consumer: Consumer): Promise<void> {
    await consume(now, consumer, (error) => again(now, consumer, 1, error));
    if (!at.consumers.has(consumer)) await stopConsuming(now.consuming, consumer); // stopped meanwhile
  }

  /** Consumes anew, on the connection that is still there, what the broker has ended. */
  function again(now: Connected, consumer: Consumer, attempt: number, error: Error): void {
    const isWanted = (): boolean => !closed && (!current || current === now) && at.consumers.has(consumer);
    if (!isWanted()) return;
    const ms = backoffMs({ attempt, random: Math.random, firstMs: 100, maxMs: 5_000 });
    systemClock.after(ms, () => {
      if (!isWanted() || now.consuming.has(consumer)) return;
      at.failed(error);
      start(now, consumer).catch((more: Error) => again(now, consumer, attempt + 1, more));
    });
  }

  /** A queue that is gone says nothing against a login. */
  const unlessGone =
    (now: Connected, consumer: Consumer) =>
    (error: Error & { readonly code?: unknown }): void => {
      if (error.code !== 404) throw error;
      again(now, consumer, 1, error);
    };

  function lost(): void {
    if (closed) return;
    current = undefined;
    connected = Promise.withResolvers<Connected>();
    failures += 1;
    const ms = backoffMs({ attempt: failures, random: Math.random, firstMs: 100, maxMs: 5_000 });
    cancelRetry = systemClock.after(ms, () => {
      connectOnce().then(at.told.authenticated, async (error: Error) => {
        at.failed(error);
        if (isRefusedLogin(error)) await at.told.refused();
        lost();
      });
    });
  }

  return {
    async open() {
      await connectOnce();
    },
    channel: async () => publishingOn(await connected.promise),
    async start(consumer) {
      await start(await connected.promise, consumer);
    },
    async stop(consumer) {
      const { consuming } = await connected.promise;
      await stopConsuming(consuming, consumer);
    },
    async close() {
      closed = true;
      cancelRetry();
      if (current) await closeNow(current); // one that is being made ends when it sees that
    },
  };
}

function publishingOn(now: Connected): Promise<ConfirmChannel> {
  now.publishing ??= openPublishing(now);
  return now.publishing;
}

async function openPublishing(now: Connected): Promise<ConfirmChannel> {
  const forget = (): void => void (now.publishing = undefined);
  try {
    const channel = await now.model.createConfirmChannel();
    channel.on('error', () => {}); // whoever uses it is told
    channel.on('close', forget);
    return channel;
  } catch (error) {
    forget();
    throw error;
  }
}

/** `ended` is called when the broker ends it: for a mistake on its channel, or because the queue is gone. */
async function consume(
  { model, consuming }: Connected,
  consumer: Consumer,
  ended: (error: Error) => void,
): Promise<void> {
  const channel = await model.createChannel();
  let mistake: Error | undefined;
  channel.on('error', (error: Error) => (mistake = error));
  channel.on('close', () => {
    if (consuming.get(consumer)?.channel !== channel) return; // it was stopped
    consuming.delete(consumer);
    ended(mistake ?? new Error(`The broker ended the consumer of the queue ${consumer.queue}.`));
  });
  await channel.prefetch(consumer.prefetch);
  const underWay = new Set<Promise<unknown>>();
  const handle = async (message: Delivered): Promise<unknown> => consumer.handle(message, channel);
  const { consumerTag } = await channel.consume(
    consumer.queue,
    (message) => {
      if (message === null) return void channel.close().catch(() => {}); // the queue was deleted, or has moved
      const handled = handle(message).catch(() => {}); // a handler's failure is its own business
      underWay.add(handled);
      void handled.finally(() => underWay.delete(handled));
    },
    consumer.options,
  );
  consuming.set(consumer, { channel, tag: consumerTag, underWay });
}

async function stopConsuming(consuming: Map<Consumer, Consuming>, consumer: Consumer): Promise<void> {
  const one = consuming.get(consumer);
  if (!one) return;
  consuming.delete(consumer);
  try {
    await one.channel.cancel(one.tag);
    while (one.underWay.size > 0) await Promise.all(one.underWay);
    await one.channel.close();
  } catch {
    // The connection was lost meanwhile: the broker gives what was not acknowledged to somebody else.
  }
}

/** The broker's no comes in the handshake; a refusal on a channel is about rights, not about the credential. */
export function isRefusedLogin(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Handshake terminated by server: 403');
}
