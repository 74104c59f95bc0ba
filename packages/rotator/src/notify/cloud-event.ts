import { createHash } from 'node:crypto';
import { eventKinds } from './event-kinds.ts';
import type { EventData, Facts } from './facts.ts';

/** CloudEvents 1.0, as JSON in structured mode. */
export interface CloudEvent {
  readonly specversion: '1.0';
  /** The same facts have the same id, also when they are told again after a crash. */
  readonly id: string;
  /** The vault's URL. */
  readonly source: string;
  readonly type: string;
  /** The secret's name. */
  readonly subject: string;
  /** ISO 8601. */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: EventData & { readonly reminder?: number };
}

/** What the facts themselves don't say. */
export interface Telling {
  /** The vault's URL. */
  readonly vault: string;
  /** True once the new version is being taken back: the same phases follow a second time. */
  readonly rollingBack: boolean;
  /** 0 when it is told first, then 1, 2, … */
  readonly reminder: number;
}

export function cloudEvent(facts: Facts, telling: Telling): CloudEvent {
  const { kind, at, data } = facts;
  const { vault, reminder } = telling;
  return {
    specversion: '1.0',
    id: eventId(facts, telling),
    source: vault,
    type: eventKinds[kind].type,
    subject: data.secret,
    time: at,
    datacontenttype: 'application/json',
    data: reminder === 0 ? data : { ...data, reminder },
  };
}

/** Made of what the event is about and never of when it was seen. */
function eventId({ kind, detail, data }: Facts, { vault, rollingBack, reminder }: Telling): string {
  const about = [vault, eventKinds[kind].type, data.secret, data.from, detail, rollingBack, reminder];
  return `keyturn_${createHash('sha256').update(JSON.stringify(about)).digest('hex').slice(0, 32)}`;
}
