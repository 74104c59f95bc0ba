import { Client } from 'pg';
import { reaching, type JournalUrl } from './journal-url.ts';

/** What replicas tell each other: that there is something new to be read in the database. */
const topics = ['announcement', 'event', 'order'] as const;
export type Topic = (typeof topics)[number];

export interface Changes {
  /**
   * Calls back when a replica says so. Its word may be lost, so everybody but who waits for orders is also called
   * every few seconds. Returns the way out.
   */
  on(topic: Topic, look: () => void): () => void;
  close(): Promise<void>;
}

const channel = 'keyturn';
const lookEveryMs = 2_000;

/** To be part of the statement that changes something: it is told when that is committed. */
export const tell = (topic: Topic): string => `pg_notify('${channel}', '${topic}')`;

/**
 * Listens to what other replicas tell through PostgreSQL, and connects again for ever. A pooler may swallow what is
 * told, so everyone looks from time to time anyway.
 */
export function openChanges(url: JournalUrl): Changes {
  const looks: Record<Topic, Set<() => void>> = {
    announcement: new Set(),
    event: new Set(),
    order: new Set(),
  };
  let client: Client | undefined;
  let closed = false;

  const lookAtAll = (): void => {
    for (const topic of ['announcement', 'event'] as const) for (const look of looks[topic]) look();
  };

  async function connect(): Promise<void> {
    if (closed || client) return;
    const ours = new Client({ ...reaching(url), application_name: 'keyturn changes', keepAlive: true });
    client = ours;
    const lost = (): void => {
      if (client === ours) client = undefined; // the next look connects again
    };
    ours.on('error', lost);
    ours.on('end', lost);
    ours.on('notification', ({ payload }) => {
      for (const look of looks[payload as Topic] ?? []) look();
    });
    try {
      await ours.connect();
      await ours.query(`listen ${channel}`);
    } catch {
      lost();
      await ours.end().catch(() => undefined);
    }
  }

  void connect();
  const timer = setInterval(() => {
    void connect();
    lookAtAll();
  }, lookEveryMs);
  timer.unref();

  return {
    on(topic, look) {
      looks[topic].add(look);
      return () => looks[topic].delete(look);
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await client?.end().catch(() => undefined);
    },
  };
}
