import { Client } from 'pg';
import type { Clock } from './clock.ts';
import type { Instance } from './fleet/fleet.ts';
import { databaseError } from './journal/database-error.ts';
import { lockExecutor } from './journal/executor-lock.ts';
import { reaching, type JournalUrl } from './journal/journal-url.ts';
import type { OpenRotation } from './policy/plan-facts.ts';
import { RotatorError } from './rotator-error.ts';

/** What a journal shows to whoever only looks. Every method throws `JOURNAL`. */
export interface JournalView {
  /** The rotation of a secret that was begun and has not ended. */
  openRotation(secret: string): Promise<OpenRotation | undefined>;
  /** The instances that use a secret and have reported within their lease. */
  instances(secret: string): Promise<readonly Instance[]>;
}

export interface OpenJournalView extends JournalView {
  /**
   * Does something while no rotator works on this journal; throws `BUSY` if one does. None of the same name can begin
   * meanwhile; one of another name is noticed by `openRotation`.
   */
  whileNobodyRotates<T>(executorId: string, action: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** No rotator has ever worked on this journal. */
export const emptyJournal: JournalView = {
  openRotation: async () => undefined,
  instances: async () => [],
};

const answerTimeoutMs = 10_000;

/** Opens a journal's database for reading: nothing is made there, and nothing is tidied up. */
export async function openJournalView(options: {
  readonly url: JournalUrl;
  /** The vault's URL. */
  readonly vault: string;
  readonly leaseMs: number;
  readonly clock: Clock;
}): Promise<OpenJournalView> {
  const { url, vault, leaseMs, clock } = options;
  const client = new Client({
    ...reaching(url),
    application_name: 'keyturn view',
    connectionTimeoutMillis: answerTimeoutMs,
    query_timeout: answerTimeoutMs,
  });
  client.on('error', () => undefined); // the next query says so

  async function query<Row extends object>(
    text: string,
    values: readonly unknown[],
  ): Promise<readonly Row[]> {
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } catch (error) {
      if (isNoSuchTable(error)) return [];
      throw databaseError(error);
    }
  }

  try {
    await client.connect();
    await client.query('set default_transaction_read_only = on');
  } catch (error) {
    await client.end().catch(() => undefined);
    throw databaseError(error);
  }

  return {
    async openRotation(secret) {
      const [row] = await query<{ workflow: string; attended: boolean }>(openWorkflow, [
        `${vault} ${secret}@`,
      ]);
      if (row === undefined) return undefined;
      // `<vault> <rotation>`, with `/2` and so on for those after the first one that failed.
      const id = row.workflow.slice(vault.length + 1).replace(/\/\d+$/, '');
      return { id, attended: row.attended };
    },
    async instances(secret) {
      const rows = await query<{
        consumer: string;
        instance: string;
        state: Omit<Instance, 'consumer' | 'instance'>;
      }>(
        `select consumer, instance, state from keyturn.adoption
         where vault = $1 and secret = $2 and reported_at >= $3 order by consumer, instance`,
        [vault, secret, clock.now() - leaseMs],
      );
      return rows.map(({ consumer, instance, state }) => ({ consumer, instance, ...state }));
    },
    async whileNobodyRotates(executorId, action) {
      const lock = await lockExecutor(url, executorId);
      try {
        const others = await query<{ name: string }>(otherRotators, [`keyturn ${executorId}`]);
        if (others.length > 0) throw rotatorsAt(others.map(({ name }) => name));
        return await Promise.race([action(), lock.lost]);
      } finally {
        await lock.release();
      }
    },
    close: () => client.end().catch(() => undefined),
  };
}

/** The engine's own table: who runs what. A rotator that lives holds the lock of its name. */
const openWorkflow = `
  select workflow_uuid as workflow, exists (
    select from pg_locks
    where locktype = 'advisory' and granted and objsubid = 1
      and database = (select oid from pg_database where datname = current_database())
      and (classid::bigint << 32 | objid::bigint) = hashtextextended('keyturn executor ' || executor_id, 0)
  ) as attended
  from dbos.workflow_status
  where name = 'rotation' and status in ('PENDING', 'ENQUEUED', 'DELAYED') and starts_with(workflow_uuid, $1)
  order by created_at desc limit 1`;

/** Each rotator keeps a connection open under its name; the other connections of rotators have names of their own. */
const otherRotators = `
  select distinct application_name as name from pg_stat_activity
  where datname = current_database() and starts_with(application_name, 'keyturn ') and application_name <> $1
    and application_name not in ('keyturn view', 'keyturn fleet', 'keyturn changes', 'keyturn events', 'keyturn presence')`;

function isNoSuchTable(error: unknown): boolean {
  return ['42P01', '3F000'].includes((error as { code?: string }).code ?? '');
}

function rotatorsAt(names: readonly string[]): RotatorError {
  return new RotatorError('BUSY', `Rotators work on this journal: ${names.join(', ')}.`, {
    hint: 'Stop them first: nothing may begin a rotation while a credential is ended beside it.',
  });
}
