import type { Connection } from './connection.ts';
import type { PostgresOptions } from './options.ts';

/** Two rotators that alter the same roles take turns; the lock ends with the transaction. */
export async function lockSecret(connection: Connection, { roles, owner }: PostgresOptions): Promise<void> {
  const what = JSON.stringify(['keyturn', owner, ...roles.toSorted()]);
  await connection.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [what]);
}
