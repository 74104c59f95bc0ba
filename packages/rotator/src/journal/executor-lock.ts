import { Client } from 'pg';
import { RotatorError } from '../rotator-error.ts';

/**
 * Takes the name of this rotator for as long as the process lives. The engine runs the steps of every process
 * of one name, so two of them would do the same thing twice at once.
 */
export async function lockExecutor(url: string, executorId: string): Promise<() => Promise<void>> {
  const client = new Client({
    connectionString: url,
    application_name: `keyturn ${executorId}`,
    keepAlive: true,
  });
  client.on('error', () => undefined); // the lock is gone then, and so is the journal behind it
  try {
    await client.connect();
  } catch (error) {
    throw new RotatorError('JOURNAL', `The journal's database can't be reached (${reason(error)}).`, {
      hint: 'Check the URL in journal.secret, or leave it out for the embedded database.',
    });
  }
  const { rows } = await client.query<{ locked: boolean }>(
    'select pg_try_advisory_lock(hashtextextended($1, 0)) as locked',
    [`keyturn executor ${executorId}`],
  );
  if (rows[0]?.locked) return () => client.end();
  await client.end();
  throw new RotatorError('BUSY', `Another rotator named "${executorId}" works on this journal.`, {
    hint: 'Wait until it has finished, or end it; its rotations are resumed from there.',
  });
}

function reason(error: unknown): string {
  const { code } = error as { code?: string };
  return code ?? 'no answer';
}
