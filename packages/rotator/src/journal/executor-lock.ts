import { Client } from 'pg';
import { RotatorError } from '../rotator-error.ts';
import { databaseError } from './database-error.ts';
import { reaching, type JournalUrl } from './journal-url.ts';

/** The name of a rotator, held by this process alone. */
export interface ExecutorLock {
  /** Rejects once the name is lost: from then on another process may be doing what this one did. */
  readonly lost: Promise<never>;
  /** Is it held at this moment? If not, `lost` rejects. */
  isHeld(): Promise<boolean>;
  /** Does nobody hold this name? */
  isFree(executorId: string): Promise<boolean>;
  /** Runs an action while no other process may hold this name; undefined if one does. */
  whileFree<T>(executorId: string, action: () => Promise<T>): Promise<T | undefined>;
  /** Counts this process among those of a group while its lock lives. What it returns asks how many they are. */
  join(group: string): Promise<() => Promise<number>>;
  release(): Promise<void>;
}

/** A lock that is lost is noticed within this time, milliseconds: by then the database has answered or has not. */
export const answerTimeoutMs = 10_000;

/**
 * Takes the name of this rotator for as long as its connection lives. The engine runs the steps of every process
 * of one name, so two of them would do the same thing twice at once. The database frees the name when the
 * connection breaks, be it by a failover, a pooler or an administrator, while all else here lives on.
 */
export async function lockExecutor(url: JournalUrl, executorId: string): Promise<ExecutorLock> {
  const client = new Client({
    ...reaching(url),
    application_name: `keyturn ${executorId}`,
    connectionTimeoutMillis: answerTimeoutMs,
    query_timeout: answerTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: answerTimeoutMs,
  });
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined); // it may be lost while nobody waits
  let released = false;
  const lose = (error: RotatorError) => {
    if (!released) lost.reject(error);
  };
  client.on('error', (error) => lose(connectionLost(error)));
  client.on('end', () => lose(connectionLost()));
  const release = async () => {
    released = true;
    await client.end().catch(() => undefined);
  };

  let last: Promise<unknown> = Promise.resolve();
  /** One question at a time: that is all a connection is for. */
  async function ask(question: string, about: string): Promise<unknown> {
    const answer = last
      .catch(() => undefined)
      .then(() => client.query<{ answer: unknown }>(`select ${question} as answer`, [about]));
    last = answer;
    return (await answer).rows[0]?.answer;
  }
  const is = async (question: string, name: string) => (await ask(question, nameOf(name))) === true;
  // One session may take its own lock again, so this also says whether it still has it.
  const take = (name: string) => is(`pg_try_advisory_lock(${lockKey})`, name);

  try {
    await client.connect();
    if (!(await take(executorId))) throw busy(executorId);
  } catch (error) {
    await release();
    throw databaseError(error);
  }
  const askForIt = async () => {
    try {
      if (await take(executorId)) return true;
      lose(busy(executorId));
    } catch (error) {
      lose(connectionLost(error));
    }
    return false;
  };
  let asking: Promise<boolean> | undefined;
  return {
    lost: lost.promise,
    release,
    isHeld: () => (asking ??= askForIt().finally(() => (asking = undefined))),
    isFree: (name) => is(`not exists (${holders})`, name),
    async join(group) {
      await ask(`pg_advisory_lock_shared(${lockKey})`, group);
      return async () => Number(await ask(`(select count(*) from (${holders}) as holder)`, group));
    },
    async whileFree(name, action) {
      if (!(await take(name))) return undefined;
      try {
        return await action();
      } finally {
        await is(`pg_advisory_unlock(${lockKey})`, name).catch(() => undefined); // goes with the connection
      }
    },
  };
}

const nameOf = (executorId: string) => `keyturn executor ${executorId}`;
const lockKey = 'hashtextextended($1, 0)';
const holders = `
  select from pg_locks
  where locktype = 'advisory' and granted and objsubid = 1
    and database = (select oid from pg_database where datname = current_database())
    and (classid::bigint << 32 | objid::bigint) = ${lockKey}`;

function busy(executorId: string): RotatorError {
  return new RotatorError('BUSY', `Another rotator named "${executorId}" works on this journal.`, {
    hint: 'Wait until it has finished, or end it; its rotations are resumed from there.',
  });
}

function connectionLost(error?: unknown): RotatorError {
  const { code } = (error ?? {}) as { code?: string };
  return new RotatorError(
    'JOURNAL',
    `The connection to the journal's database broke${code === undefined ? '' : ` (${code})`}, and with it the lock of this rotator.`,
    { hint: 'See that the database runs; run again to resume.' },
  );
}
