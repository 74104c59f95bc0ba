import { Client } from 'pg';
import { RotatorError } from '../rotator-error.ts';
import { databaseError } from './database-error.ts';

/** The name of a rotator, held by this process alone. */
export interface ExecutorLock {
  /** Rejects once the name is lost: from then on another process may be doing what this one did. */
  readonly lost: Promise<never>;
  /** Is it held at this moment? If not, `lost` rejects. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

const answerTimeoutMs = 10_000;

/**
 * Takes the name of this rotator for as long as its connection lives. The engine runs the steps of every process
 * of one name, so two of them would do the same thing twice at once. The database frees the name when the
 * connection breaks, be it by a failover, a pooler or an administrator, while all else here lives on.
 */
export async function lockExecutor(url: string, executorId: string): Promise<ExecutorLock> {
  const client = new Client({
    connectionString: url,
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

  try {
    await client.connect();
    if (!(await take(client, executorId))) throw busy(executorId);
  } catch (error) {
    await release();
    throw databaseError(error);
  }
  const ask = async () => {
    try {
      if (await take(client, executorId)) return true;
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
    isHeld: () => (asking ??= ask().finally(() => (asking = undefined))),
  };
}

/** One session may take its own lock again, so this also says whether it still has it. */
async function take(client: Client, executorId: string): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock(hashtextextended($1, 0)) as locked',
    [`keyturn executor ${executorId}`],
  );
  return rows[0]?.locked === true;
}

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
