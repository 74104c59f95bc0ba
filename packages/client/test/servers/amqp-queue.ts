import { randomBytes, randomUUID } from 'node:crypto';
import rhea, { type Connection, type Delivery, type EventContext, type Message, type Sender } from 'rhea';

/** A queue with locks: what a consumer doesn't complete goes back. */
export interface Queue {
  add(message: Message): void;
  /** A link of a consumer. */
  attach(sender: Sender): void;
  /** A connection is gone, and its links with it. */
  detach(connection: Connection): void;
  /** Bodies as text, in the order of arrival. */
  readonly received: readonly string[];
  readonly completed: readonly string[];
  /** How often each body was handed to a consumer. */
  readonly deliveries: ReadonlyMap<string, number>;
}

export function openQueue(): Queue {
  const ready: Message[] = [];
  const received: string[] = [];
  const completed: string[] = [];
  const deliveries = new Map<string, number>();
  const links = new Set<Sender>();
  /** Those that want messages. */
  const consumers = new Set<Sender>();
  const locked = new Map<Delivery, { readonly message: Message; readonly sender: Sender }>();
  let sequenceNumber = 0;

  const pump = (): void => {
    for (const sender of consumers) {
      for (let room = roomOf(sender); room > 0 && ready.length > 0; room -= 1) {
        const message = ready.shift() as Message;
        const body = textOf(message);
        deliveries.set(body, (deliveries.get(body) ?? 0) + 1);
        locked.set(sendCounted(sender, message, randomBytes(16)), { message, sender });
      }
    }
  };
  const confirm = (delivery: Delivery): void => delivery.update(true, accepted());
  const unlock = (delivery: Delivery): void => {
    const lock = locked.get(delivery);
    if (!lock || !locked.delete(delivery)) return;
    ready.unshift(lock.message);
    pump();
  };
  const left = (sender: Sender): void => {
    links.delete(sender);
    consumers.delete(sender);
    for (const [delivery, lock] of locked) if (lock.sender === sender) unlock(delivery);
  };

  return {
    received,
    completed,
    deliveries,
    add(message) {
      received.push(textOf(message));
      sequenceNumber += 1;
      message['message_id'] ??= randomUUID(); // as the service does
      message['message_annotations'] = {
        'x-opt-sequence-number': rhea.types.wrap_long(sequenceNumber),
        'x-opt-enqueued-time': rhea.types.wrap_timestamp(Date.now()),
        'x-opt-locked-until': rhea.types.wrap_timestamp(Date.now() + 60_000),
      };
      ready.push(message);
      pump();
    },
    detach(connection) {
      for (const sender of links) if (sender.connection === connection) left(sender);
    },
    attach(sender) {
      links.add(sender);
      consumers.add(sender);
      sender.on('sendable', pump);
      sender.on('sender_draining', () => {
        consumers.delete(sender); // it wants nothing more
        setImmediate(() => confirmDrained(sender)); // behind the messages that are on their way
      });
      sender.on('accepted', ({ delivery }: EventContext) => {
        const lock = delivery && locked.get(delivery);
        if (!lock) return;
        locked.delete(delivery);
        confirm(delivery);
        completed.push(textOf(lock.message));
      });
      for (const event of ['released', 'modified', 'rejected'])
        sender.on(event, ({ delivery }: EventContext) => {
          if (!delivery || !locked.has(delivery)) return;
          confirm(delivery);
          unlock(delivery);
        });
      sender.on('sender_close', () => left(sender));
      pump();
    },
  };
}

const sentOn = new WeakMap<Sender, number>();

/** rhea makes the outcomes of AMQP; its types leave them out. */
const { accepted: makeAccepted } = rhea.message as unknown as {
  accepted(): { described(): never };
};
const accepted = (): never => makeAccepted().described();

/** How many messages a link still takes. rhea counts them only when they leave, so it would take any number. */
export function roomOf(sender: Sender): number {
  const { delivery_count: left, credit } = sender as unknown as { delivery_count: number; credit: number };
  return left + credit - (sentOn.get(sender) ?? 0);
}

export function sendCounted(sender: Sender, message: Message, tag?: Buffer): Delivery {
  sentOn.set(sender, (sentOn.get(sender) ?? 0) + 1);
  return sender.send(message, tag);
}

/** The service says "drained" also when the last credit was just used; rhea alone wouldn't. */
function confirmDrained(sender: Sender): void {
  const link = sender as unknown as { _get_drain(): boolean; connection: { _register(): void } };
  const useCredit = link._get_drain.bind(link);
  link._get_drain = () => useCredit() || true;
  sender.set_drained(true);
  link.connection._register();
}

/** The SDKs send JSON in a data section. */
export function textOf(message: Message): string {
  const { content } = message['body'] as { content?: Buffer };
  const text = content === undefined ? String(message['body']) : content.toString();
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}
