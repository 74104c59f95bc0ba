import type pg from 'pg';
import { tell, type Changes } from '../journal/changes.ts';
import { databaseError } from '../journal/database-error.ts';
import { makeTables } from '../journal/tables.ts';
import type { Announcement } from './fleet.ts';

/** Hands announcements to whoever is connected, at whichever replica, and the standing ones to whoever comes later. */
export interface Announcements {
  /**
   * Resolves when every replica will come to know. With `onlyAfter` nothing is announced if another one has come since
   * the one of that number. Throws `JOURNAL`.
   */
  announce(announcement: Announcement, condition?: { readonly onlyAfter: number }): Promise<void>;
  /** What stands, and its number. */
  standing(secret: string): { readonly version: string; readonly id: number } | undefined;
  /**
   * Calls back with what stands and with all that follows, each with a number that grows. Who has heard some before
   * says the number of the last one, and may hear a few of them again. Returns the way out.
   */
  subscribe(listener: AnnouncementListener, lastHeard?: number): () => void;
  close(): void;
}

export type AnnouncementListener = (announcement: Announcement, id: number) => void;

const tables = `
  create sequence if not exists keyturn.announcement_id;
  create table if not exists keyturn.announcement (
    vault text not null,
    secret text not null,
    version text not null,
    spread_ms int not null,
    id bigint not null default nextval('keyturn.announcement_id'),
    primary key (vault, secret)
  );
  create index if not exists announcement_by_id on keyturn.announcement (vault, id);`;

interface Row {
  readonly secret: string;
  readonly version: string;
  readonly spread_ms: number;
  /** PostgreSQL's bigint comes as text. */
  readonly id: string;
}

/** Numbers are given out before they are committed: one that comes late has at most so many behind it. */
const lateNumbers = 1_000;

/** The announcements of a vault, kept in PostgreSQL: they outlive a restart, and replicas share them. */
export async function openAnnouncements(
  pool: pg.Pool,
  at: { readonly vault: string; readonly changes: Changes },
): Promise<Announcements> {
  const { vault, changes } = at;
  const standing = new Map<string, { readonly announcement: Announcement; readonly id: number }>();
  const listeners = new Set<AnnouncementListener>();
  let lastId = 0;
  let looking: Promise<void> | undefined;

  async function query(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return (await pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      throw databaseError(error);
    }
  }

  async function look(): Promise<void> {
    const rows = await query(
      'select secret, version, spread_ms, id from keyturn.announcement where vault = $1 and id > $2 order by id',
      [vault, lastId - lateNumbers],
    );
    for (const row of rows) take(row);
  }

  function take({ secret, version, spread_ms: spreadMs, id: text }: Row): void {
    const id = Number(text);
    lastId = Math.max(lastId, id);
    if ((standing.get(secret)?.id ?? 0) >= id) return;
    const announcement = { secret, version, spreadMs };
    standing.set(secret, { announcement, id });
    for (const listener of listeners) listener(announcement, id);
  }

  const lookAgain = (): void => {
    looking ??= look()
      .catch(() => undefined) // the database is away; the next look may find it
      .finally(() => (looking = undefined));
  };

  await makeTables(pool, tables);
  await look();
  const stop = changes.on('announcement', lookAgain);

  return {
    standing(secret) {
      const found = standing.get(secret);
      return found && { version: found.announcement.version, id: found.id };
    },
    async announce({ secret, version, spreadMs }, { onlyAfter } = { onlyAfter: -1 }) {
      if (standing.get(secret)?.announcement.version === version) return;
      const rows = await query(
        `with put as (
           insert into keyturn.announcement (vault, secret, version, spread_ms) values ($1, $2, $3, $4)
           on conflict (vault, secret) do update
             set version = excluded.version, spread_ms = excluded.spread_ms, id = excluded.id
             where announcement.version <> excluded.version and $5::bigint in (-1, announcement.id)
           returning secret, version, spread_ms, id)
         select put.*, ${tell('announcement')} from put`,
        [vault, secret, version, Math.round(spreadMs), onlyAfter],
      );
      for (const row of rows) take(row);
    },
    subscribe(listener, lastHeard = 0) {
      listeners.add(listener);
      const isOfAnotherDatabase = lastHeard > lastId;
      const after = isOfAnotherDatabase ? 0 : lastHeard - lateNumbers;
      const missed = [...standing.values()].filter(({ id }) => id > after);
      for (const { announcement, id } of missed.toSorted((one, other) => one.id - other.id))
        listener(announcement, id);
      return () => listeners.delete(listener);
    },
    close: stop,
  };
}
