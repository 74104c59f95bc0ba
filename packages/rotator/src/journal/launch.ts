import { setTimeout as sleep } from 'node:timers/promises';
import { DBOS } from '@dbos-inc/dbos-sdk';
import { Pool } from 'pg';
import { RotatorError } from '../rotator-error.ts';
import { answerTimeoutMs, type ExecutorLock } from './executor-lock.ts';
import { reaching, type JournalUrl } from './journal-url.ts';

const launchPollMs = 100;
const longestLaunchMs = 60_000;

/** The engine takes a URL with a password; for a password that changes it needs connections made here. */
export function enginePool(url: JournalUrl): Pool | undefined {
  if (typeof url === 'string') return undefined;
  const pool = new Pool({
    ...reaching(url),
    max: 10,
    application_name: 'keyturn journal',
    connectionTimeoutMillis: answerTimeoutMs,
    idle_in_transaction_session_timeout: 60_000,
  });
  pool.on('error', ignore); // an idle connection that breaks is replaced at the next use
  return pool;
}

/** Starts the engine on the journal's database; what it finds open there under this name, it goes on with. */
export async function launch(at: {
  url: JournalUrl;
  pool: Pool | undefined;
  executorId: string;
  vault: string;
  lock: ExecutorLock;
}): Promise<void> {
  DBOS.setConfig({
    name: 'keyturn',
    systemDatabaseUrl: typeof at.url === 'string' ? at.url : at.url.url,
    ...(at.pool ? { systemDatabasePool: at.pool } : {}),
    executorID: at.executorId,
    // The engine resumes what has its own version and nothing else, so this keeps the vaults apart.
    applicationVersion: at.vault,
    enablePatching: true,
    logger: { info: ignore, debug: ignore, warn: ignore, error: ignore },
  });
  // The engine makes its tables as it is launched, and fails if another one does so at the same moment.
  for (let waitedMs = 0; ; waitedMs += launchPollMs) {
    const launched = await at.lock.whileFree('is launched', () => DBOS.launch().then(() => true));
    if (launched) return;
    if (waitedMs > longestLaunchMs) throw launchedByAnother();
    await sleep(launchPollMs);
  }
}

function launchedByAnother(): RotatorError {
  return new RotatorError(
    'BUSY',
    `Another rotator has been starting on this journal for ${longestLaunchMs / 1_000} s.`,
    { hint: 'See what it waits for, or end it.' },
  );
}

function ignore(): void {}
