import { Client } from 'pg';

/** This process, as one of those that use a server. */
export interface Presence {
  /** Says goodbye; true if nobody else is there, and nobody comes any more. */
  leave(): Promise<boolean>;
}

const answerTimeoutMs = 2_000;
const key = "hashtextextended('keyturn embedded server', 0)";

/**
 * Marks this process as a user of the server for as long as it lives: a lock that all of them share and that the
 * last one takes for itself. Undefined if the server does not answer, or if its last user is about to end it.
 */
export async function enter(url: string): Promise<Presence | undefined> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: answerTimeoutMs,
    query_timeout: answerTimeoutMs,
    application_name: 'keyturn presence',
  }) as Client & { ref(): void; unref(): void };
  client.on('error', () => undefined); // the server is gone, and nobody is present in it
  const isTrue = async (sql: string) => {
    const { rows } = await client.query<{ answer: boolean }>(`select ${sql} as answer`);
    return rows[0]?.answer === true;
  };
  const end = () => client.end().catch(() => undefined);
  try {
    await client.connect();
    if (!(await isTrue(`pg_try_advisory_lock_shared(${key})`))) throw new Error('It is being ended.');
  } catch {
    await end();
    return undefined;
  }
  client.unref(); // to be present is no reason to stay
  return {
    async leave() {
      client.ref();
      try {
        await isTrue(`pg_advisory_unlock_shared(${key})`);
        if (await isTrue(`pg_try_advisory_lock(${key})`)) return true;
      } catch {
        return true; // it does not answer, so nobody can be using it
      }
      await end();
      return false;
    },
  };
}
