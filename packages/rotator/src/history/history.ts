import type { RotationId } from '@keyturn/source';
import type pg from 'pg';
import type { RotationRecord } from '../events.ts';
import { tell, type Changes } from '../journal/changes.ts';
import { databaseError } from '../journal/database-error.ts';
import { makeTables } from '../journal/tables.ts';
import type { RotationStatus } from '../operations.ts';
import { isNews, statusAfter } from './status-after.ts';

/** What happened to the rotations of a vault, kept in PostgreSQL: replicas share it, and it outlives them. */
export interface History {
  /** Keeps a record, in the order in which they come. One that can't be kept now is kept later. */
  record(record: RotationRecord): void;
  /** How they stand or ended, newest first. */
  rotations(of: { readonly secret?: string; readonly limit: number }): Promise<readonly RotationStatus[]>;
  rotation(id: RotationId): Promise<RotationStatus | undefined>;
  /** The newest rotation of each secret, and the newest that has ended. */
  latest(): Promise<ReadonlyMap<string, readonly RotationStatus[]>>;
  /** All that happened to one, oldest first. */
  story(id: RotationId): Promise<readonly RotationRecord[]>;
  /**
   * Rotations that ended before a moment (ISO 8601), the oldest first, and never the newest two of a secret: what people
   * and the schedule ask for.
   */
  endedBefore(moment: string, limit: number): Promise<readonly RotationId[]>;
  /** Drops all that is known of them. */
  forget(ids: readonly RotationId[]): Promise<void>;
  /** Calls back with each record that any replica keeps. Returns the way out. */
  watch(listener: (record: RotationRecord) => void): () => void;
  /** Resolves when all that was recorded has been kept, or can't be. */
  close(): Promise<void>;
}

const tables = `
  create table if not exists keyturn.rotation (
    vault text not null,
    id text not null,
    secret text not null,
    ended boolean not null,
    updated_at timestamptz not null,
    status jsonb not null,
    primary key (vault, id)
  );
  create index if not exists rotation_by_secret on keyturn.rotation (vault, secret, updated_at desc);
  create index if not exists rotation_by_time on keyturn.rotation (vault, updated_at desc);
  create table if not exists keyturn.event (
    id bigint generated always as identity primary key,
    vault text not null,
    rotation text not null,
    record jsonb not null
  );
  create index if not exists event_by_rotation on keyturn.event (vault, rotation, id);`;

const retryMs = 1_000;
/** With the database away for long, the oldest are lost; what a rotation is and did is in the vault and the journal. */
const keepAtMost = 10_000;
const lateNumbers = 1_000;

export async function openHistory(
  pool: pg.Pool,
  at: { readonly vault: string; readonly changes: Changes },
): Promise<History> {
  const { vault, changes } = at;
  const statuses = new Map<RotationId, RotationStatus>();
  const listeners = new Set<(record: RotationRecord) => void>();
  const waiting: RotationRecord[] = [];
  const heard = new Set<number>();
  let keeping: Promise<void> | undefined;
  let closing = false;
  let lastId = 0;
  let looking: Promise<void> | undefined;

  async function query<Row extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[],
  ): Promise<Row[]> {
    try {
      return (await pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      throw databaseError(error);
    }
  }

  async function keepAll(): Promise<void> {
    for (let record = waiting[0]; record; record = waiting[0]) {
      try {
        await keep(record);
        waiting.shift();
      } catch {
        if (closing) return;
        await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
      }
    }
  }

  async function keep(record: RotationRecord): Promise<void> {
    const id = record.rotation;
    const before = statuses.get(id) ?? (await find(id));
    const status = statusAfter(before, record);
    if (isNews(before, record)) {
      await query(
        `with happened as (
           insert into keyturn.event (vault, rotation, record) values ($1, $2, $3)
         ), stands as (
           insert into keyturn.rotation (vault, id, secret, ended, updated_at, status) values ($1, $2, $4, $5, $6, $7)
           on conflict (vault, id) do update
             set ended = excluded.ended, updated_at = excluded.updated_at, status = excluded.status
         )
         select ${tell('event')}`,
        [
          vault,
          id,
          JSON.stringify(record),
          status.secret,
          status.endedAt !== undefined,
          status.updatedAt,
          JSON.stringify(status),
        ],
      );
    }
    if (status.endedAt === undefined) statuses.set(id, status);
    else statuses.delete(id);
  }

  async function find(id: RotationId): Promise<RotationStatus | undefined> {
    const [row] = await query<{ status: RotationStatus }>(
      'select status from keyturn.rotation where vault = $1 and id = $2',
      [vault, id],
    );
    return row?.status;
  }

  async function look(): Promise<void> {
    const rows = await query<{ id: string; record: RotationRecord }>(
      'select id, record from keyturn.event where id > $2 and vault = $1 order by id',
      [vault, lastId - lateNumbers],
    );
    for (const { id: text, record } of rows) {
      const id = Number(text);
      if (id <= firstId || heard.has(id)) continue;
      heard.add(id);
      lastId = Math.max(lastId, id);
      for (const listener of listeners) listener(record);
    }
    for (const id of heard) if (id < lastId - lateNumbers) heard.delete(id);
  }

  const lookAgain = (): void => {
    looking ??= look()
      .catch(() => undefined) // the database is away; the next look may find it
      .finally(() => (looking = undefined));
  };

  await makeTables(pool, tables);
  const [newest] = await query<{ id: string | null }>('select max(id) as id from keyturn.event', []);
  const firstId = Number(newest?.id ?? 0);
  lastId = firstId;
  const stop = changes.on('event', lookAgain);

  return {
    record(record) {
      if (closing) return;
      waiting.push(record);
      if (waiting.length > keepAtMost) waiting.splice(1, 1); // the first one may be on its way
      keeping ??= keepAll().finally(() => (keeping = undefined));
    },
    async rotations({ secret, limit }) {
      const rows = await query<{ status: RotationStatus }>(
        `select status from keyturn.rotation
         where vault = $1 and ($2::text is null or secret = $2) order by updated_at desc limit $3`,
        [vault, secret, limit],
      );
      return rows.map(({ status }) => status);
    },
    rotation: find,
    async latest() {
      const rows = await query<{ secret: string; status: RotationStatus }>(
        `select distinct on (secret, ended) secret, status from keyturn.rotation
         where vault = $1 order by secret, ended, updated_at desc`,
        [vault],
      );
      const latest = new Map<string, RotationStatus[]>();
      for (const { secret, status } of rows) latest.set(secret, [...(latest.get(secret) ?? []), status]);
      return latest;
    },
    async story(id) {
      const rows = await query<{ record: RotationRecord }>(
        'select record from keyturn.event where vault = $1 and rotation = $2 order by id',
        [vault, id],
      );
      return rows.map(({ record }) => record);
    },
    async endedBefore(moment, limit) {
      const rows = await query<{ id: RotationId }>(
        `select id from (
           select id, ended, updated_at, row_number() over (partition by secret order by updated_at desc) as newest
           from keyturn.rotation where vault = $1) as one
         where ended and newest > 2 and updated_at < $2 order by updated_at limit $3`,
        [vault, moment, limit],
      );
      return rows.map(({ id }) => id);
    },
    async forget(ids) {
      await query(
        `with events as (delete from keyturn.event where vault = $1 and rotation = any($2))
         delete from keyturn.rotation where vault = $1 and id = any($2)`,
        [vault, ids],
      );
    },
    watch(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closing = true;
      stop();
      await keeping;
      await looking;
    },
  };
}
