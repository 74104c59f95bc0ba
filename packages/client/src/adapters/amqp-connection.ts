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
  readonly channel: ConfirmChannel;
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
      const channel = await model.createConfirmChannel();
      channel.on('error', () => {}); // whoever uses it is told
      const now: Connected = { model, channel, consuming: new Map() };
      for (const consumer of at.consumers) await consume(now, consumer);
      failures = 0;
      current = now;
      connected.resolve(now);
    } catch (error) {
      await model.close().catch(() => {});
      throw error;
    }
  }

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
    channel: async () => (await connected.promise).channel,
    async start(consumer) {
      await consume(await connected.promise, consumer);
    },
    async stop(consumer) {
      const { consuming } = await connected.promise;
      await stopConsuming(consuming, consumer);
    },
    async close() {
      closed = true;
      cancelRetry();
      const now = current;
      if (!now) return;
      await Promise.all([...now.consuming.keys()].map((consumer) => stopConsuming(now.consuming, consumer)));
      await now.model.close().catch(() => {}); // the broker was faster
    },
  };
}

async function consume({ model, consuming }: Connected, consumer: Consumer): Promise<void> {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  await channel.prefetch(consumer.prefetch);
  const underWay = new Set<Promise<unknown>>();
  const handle = async (message: Delivered): Promise<unknown> => consumer.handle(message, channel);
  const { consumerTag } = await channel.consume(
    consumer.queue,
    (message) => {
      if (message === null) return; // the queue was deleted
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
