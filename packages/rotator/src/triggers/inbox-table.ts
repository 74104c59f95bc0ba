import type pg from 'pg';
import { makeTables } from '../journal/tables.ts';
import type { VaultEvent } from './vault-event.ts';

const tables = `
  create table if not exists keyturn.inbox (
    id bigint generated always as identity primary key,
    vault text not null,
    secret text not null,
    version text not null,
    kind text not null,
    event_id text not null,
    happened_at bigint not null,
    due_at bigint not null,
    attempts int not null default 0,
    handled_at bigint
  );
  create unique index if not exists inbox_about on keyturn.inbox (vault, lower(secret), version, kind);
  create index if not exists inbox_due on keyturn.inbox (due_at, happened_at) where handled_at is null;
  create index if not exists inbox_handled on keyturn.inbox (handled_at) where handled_at is not null;`;

export interface InboxRow {
  readonly id: string;
  readonly vault: string;
  readonly secret: string;
  readonly version: string;
  readonly kind: VaultEvent['kind'];
  readonly event_id: string;
  /** The driver hands out a bigint as text. */
  readonly happened_at: string;
  readonly attempts: number;
}

export async function createInbox(pool: pg.Pool): Promise<void> {
  await makeTables(pool, tables);
}

export function eventOf(row: InboxRow): VaultEvent {
  const { kind, vault, secret, version, happened_at, event_id } = row;
  return { kind, vault, secret, version, at: Number(happened_at), eventId: event_id };
}

/** In one statement, and in one order: two batches that share events then wait for each other at most, in no circle. */
export async function insertEvents(
  pool: pg.Pool,
  at: { readonly events: readonly VaultEvent[]; readonly acceptedAt: number },
): Promise<void> {
  const { events, acceptedAt } = at;
  const column = (of: (event: VaultEvent) => string | number) => events.map(of);
  await pool.query(
    `insert into keyturn.inbox (vault, secret, version, kind, event_id, happened_at, due_at)
     select vault, secret, version, kind, event_id, happened_at, $7::bigint
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
       as told (vault, secret, version, kind, event_id, happened_at)
     order by vault, lower(secret), version, kind
     on conflict do nothing`,
    [
      column(({ vault }) => vault),
      column(({ secret }) => secret),
      column(({ version }) => version),
      column(({ kind }) => kind),
      column(({ eventId }) => eventId),
      column(({ at: happenedAt }) => happenedAt),
      acceptedAt,
    ],
  );
}

export async function deleteHandled(pool: pg.Pool, handledBefore: number): Promise<number> {
  const { rowCount } = await pool.query('delete from keyturn.inbox where handled_at < $1', [handledBefore]);
  return rowCount ?? 0;
}

/** What is written on a row after an attempt. */
export type RowChange =
  | { readonly handledAt: number }
  | { readonly attempts: number; readonly dueAt: number };

/**
 * Locks the oldest row that is due and that nobody else has locked, has it handled, and writes down what came of it.
 * The lock lives and dies with the connection, so a process that is killed gives its row back at once.
 */
export async function handOut<T>(
  pool: pg.Pool,
  due: { readonly now: number; readonly vault: string | undefined },
  handle: (row: InboxRow) => Promise<{ readonly result: T; readonly change: RowChange }>,
): Promise<T | { readonly kind: 'nothing due' }> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const breaks = (error: Error) => (broken = error);
  client.on('error', breaks); // else a connection that breaks while the handler works would end the process
  try {
    await client.query('begin');
    const { rows } = await client.query<InboxRow>(
      `select id, vault, secret, version, kind, event_id, happened_at, attempts from keyturn.inbox
       where handled_at is null and due_at <= $1 and ($2::text is null or vault = $2)
       order by due_at, happened_at limit 1 for update skip locked`,
      [due.now, due.vault ?? null],
    );
    const [row] = rows;
    const outcome = row && (await handle(row));
    if (outcome) await write(client, row, outcome.change);
    await client.query('commit');
    return outcome ? outcome.result : { kind: 'nothing due' };
  } catch (error) {
    broken ??= error as Error; // with its open transaction this connection is of no use
    throw error;
  } finally {
    client.off('error', breaks);
    client.release(broken);
  }
}

async function write(client: pg.PoolClient, { id }: InboxRow, change: RowChange): Promise<void> {
  if ('handledAt' in change)
    await client.query('update keyturn.inbox set handled_at = $2 where id = $1', [id, change.handledAt]);
  else
    await client.query('update keyturn.inbox set attempts = $2, due_at = $3 where id = $1', [
      id,
      change.attempts,
      change.dueAt,
    ]);
}
