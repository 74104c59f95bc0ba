import rhea, { type Connection, type Message, type Sender } from 'rhea';
import { roomOf, sendCounted, textOf } from './amqp-queue.ts';

/** An event hub: a log for each of two partitions, read from wherever a consumer says. */
export interface Hub {
  /** Appends to the partition that the address names, or to one after the other. */
  add(message: Message, address: string): void;
  attach(sender: Sender): void;
  /** A connection is gone, and its links with it. */
  detach(connection: Connection): void;
  properties(): object;
  propertiesOf(partition: string): object;
  /** Bodies as text, partition after partition. */
  readonly received: readonly string[];
}

interface Partition {
  readonly events: Message[];
  readonly readers: Map<Sender, { next: number }>;
}

export function openHub(name: string): Hub {
  const partitions: readonly Partition[] = [0, 1].map(() => ({ events: [], readers: new Map() }));
  let turn = 0;

  const pump = ({ events, readers }: Partition): void => {
    for (const [sender, reader] of readers)
      for (const event of events.slice(reader.next, reader.next + roomOf(sender))) {
        sendCounted(sender, event);
        reader.next += 1;
      }
  };
  const partitionOf = (address: string): Partition => {
    const [, id] = /\/Partitions\/(\d+)$/.exec(address) ?? [];
    const partition = partitions[id === undefined ? (turn += 1) % partitions.length : Number(id)];
    if (!partition) throw new Error(`No partition: ${address}`);
    return partition;
  };

  return {
    get received() {
      return partitions.flatMap(({ events }) => events.map(textOf));
    },
    properties: () => ({
      name,
      created_at: new Date(),
      partition_count: partitions.length,
      partition_ids: partitions.map((_, id) => String(id)),
    }),
    propertiesOf(id) {
      const { length } = partitions[Number(id)]?.events ?? [];
      return {
        name,
        partition: id,
        begin_sequence_number: 0,
        last_enqueued_sequence_number: length - 1,
        last_enqueued_offset: String(length - 1),
        last_enqueued_time_utc: new Date(),
        is_partition_empty: length === 0,
      };
    },
    add(message, address) {
      const partition = partitionOf(address);
      const number = partition.events.length;
      message['message_annotations'] = {
        'x-opt-sequence-number': rhea.types.wrap_long(number),
        'x-opt-offset': String(number),
        'x-opt-enqueued-time': rhea.types.wrap_timestamp(Date.now()),
      };
      partition.events.push(message);
      pump(partition);
    },
    detach(connection) {
      for (const { readers } of partitions)
        for (const sender of readers.keys()) if (sender.connection === connection) readers.delete(sender);
    },
    attach(sender) {
      const source = sender.source as { address: string; filter?: Record<string, { value: string }> };
      const partition = partitionOf(source.address);
      const filter = source.filter?.['apache.org:selector-filter:string']?.value ?? '';
      partition.readers.set(sender, { next: firstOf(filter, partition.events.length) });
      sender.on('sendable', () => pump(partition));
      sender.on('sender_draining', () => sender.set_drained(true));
      sender.on('sender_close', () => partition.readers.delete(sender));
    },
  };
}

/** Offsets and sequence numbers are the same here: the index of an event. */
function firstOf(filter: string, count: number): number {
  const [, operator, position = '@latest'] = /(>=?) '(.*)'$/.exec(filter) ?? [];
  if (position === '@latest') return count;
  return Number(position) + (operator === '>' ? 1 : 0);
}
