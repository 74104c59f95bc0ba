import { Pool } from 'pg';
import type { Clock } from '../clock.ts';
import { openAnnouncements, type Announcements } from '../fleet/announcements.ts';
import { openRegistry, type Registry } from '../fleet/registry.ts';
import { openHistory, type History } from '../history/history.ts';
import { openChanges, type Changes } from './changes.ts';
import { reaching, type JournalUrl } from './journal-url.ts';

/** What replicas share besides the journal itself, all in its database. */
export interface Database {
  readonly pool: Pool;
  readonly changes: Changes;
  readonly announcements: Announcements;
  readonly registry: Registry;
  readonly history: History;
  close(): Promise<void>;
}

/** @throws RotatorError `JOURNAL` */
export async function openDatabase(at: {
  readonly url: JournalUrl;
  readonly vault: string;
  readonly leaseMs: number;
  readonly clock: Clock;
}): Promise<Database> {
  const { url, vault, leaseMs, clock } = at;
  const pool = new Pool({ ...reaching(url), max: 8, application_name: 'keyturn fleet' });
  pool.on('error', () => undefined); // an idle connection that breaks is replaced at the next use
  const changes = openChanges(url);
  const close = async (): Promise<void> => {
    await changes.close();
    await pool.end();
  };
  try {
    const announcements = await openAnnouncements(pool, { vault, changes });
    const registry = await openRegistry(pool, { vault, leaseMs, clock });
    const history = await openHistory(pool, { vault, changes });
    return {
      pool,
      changes,
      announcements,
      registry,
      history,
      async close() {
        announcements.close();
        await history.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
