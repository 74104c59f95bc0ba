import type { Operations } from '../operations.ts';

export interface EventHubOptions {
  readonly watch: Operations['watch'];
  readonly heartbeatMs: number;
  /** A consumer that leaves more than this unread is cut off, bytes. */
  readonly longestQueueBytes: number;
  readonly mostStreams: number;
}

/** Hands every event to whoever is connected, as server-sent events. */
export interface EventHub {
  /**
   * A new consumer's stream; undefined if there are too many. `cutOff` ends its connection: it is called when the
   * consumer is too slow, after which nothing is kept for it.
   */
  connect(cutOff: () => void): ReadableStream<Uint8Array> | undefined;
}

interface Consumer {
  send(frame: Uint8Array): void;
}

/** Each event is written once, however many read it. The rotator is watched only while somebody is connected. */
export function openEventHub(options: EventHubOptions): EventHub {
  const { watch, heartbeatMs, longestQueueBytes, mostStreams } = options;
  const consumers = new Set<Consumer>();
  let stop: (() => void) | undefined;

  const sendAll = (text: string) => {
    const frame = encoder.encode(text);
    for (const consumer of consumers) consumer.send(frame);
  };

  function join(consumer: Consumer): void {
    consumers.add(consumer);
    if (stop) return;
    const unwatch = watch((record) => sendAll(`event: rotation\ndata: ${JSON.stringify(record)}\n\n`));
    const heartbeat = setInterval(() => sendAll(': beat\n\n'), heartbeatMs);
    stop = () => {
      clearInterval(heartbeat);
      unwatch();
    };
  }

  function leave(consumer: Consumer): void {
    if (!consumers.delete(consumer) || consumers.size > 0) return;
    stop?.();
    stop = undefined;
  }

  return {
    connect(cutOff) {
      if (consumers.size >= mostStreams) return undefined;
      let consumer: Consumer;
      return new ReadableStream<Uint8Array>(
        {
          start(controller) {
            consumer = {
              send(frame) {
                // One event may be longer than the limit: what counts is what was left unread before it.
                if ((controller.desiredSize ?? 0) > 0) return controller.enqueue(frame);
                leave(consumer);
                return cutOff();
              },
            };
            consumer.send(encoder.encode('retry: 2000\n: connected\n\n'));
            join(consumer);
          },
          cancel: () => leave(consumer),
        },
        new ByteLengthQueuingStrategy({ highWaterMark: longestQueueBytes }),
      );
    },
  };
}

const encoder = new TextEncoder();
