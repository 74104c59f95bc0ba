import { setTimeout as sleep } from 'node:timers/promises';
import { SourceError, type Session } from '@keyturn/source';
import type { Connection } from './connection.ts';

/** The name under which `prove` logs in. */
export const proveName = 'keyturn prove';

/**
 * The sessions that a role has now. They are found by the role's oid, because the name is lost when a role is
 * dropped while its sessions live on. Our own login of `prove` is over when we look but may linger for a moment
 * at the server; one that stays longer is not ours, whatever it calls itself.
 */
export async function sessionsOf(connection: Connection, role: { oid: number }): Promise<Session[]> {
  const { rows } = await connection.query<{ client: string; since: Date | null }>(
    `select concat_ws(' ', nullif(application_name, ''), host(client_addr) || ':' || client_port) as client,
       backend_start as since
     from pg_stat_activity
     where usesysid = $1::oid and backend_type <> 'parallel worker'
       and not (application_name = $2 and backend_start > now() - interval '1 minute')
     order by backend_start`,
    [role.oid, proveName],
  );
  return rows.map(({ client, since }) => ({ client, ...(since ? { since: since.toISOString() } : {}) }));
}

/** True if sessions live on whose role was dropped: nobody can say any more whose they are. */
export async function hasOrphanedSessions(connection: Connection): Promise<boolean> {
  const { rows } = await connection.query(
    `select from pg_stat_activity
     where usesysid is not null and not exists (select from pg_roles where oid = usesysid) limit 1`,
  );
  return rows.length > 0;
}

const pauseMs = 50;

/**
 * Ends the sessions that began before now and looks again until it has seen none twice: a login that was past the
 * check of its password when the role was altered shows up only later. Sessions that begin from now on belong to
 * whatever the role holds next, and are left alone.
 */
export async function endSessions(
  connection: Connection,
  at: { role: { oid: number; name: string }; withinMs: number },
): Promise<void> {
  const { role, withinMs } = at;
  const before = await serverTime(connection);
  let quietLooks = 0;
  for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += pauseMs) {
    quietLooks = (await terminate(connection, { oid: role.oid, before })) === 0 ? quietLooks + 1 : 0;
    if (quietLooks === 2) return;
    await sleep(pauseMs);
  }
  throw new SourceError(
    'UNEXPECTED',
    `Sessions of ${role.name} live on ${withinMs / 1000} s after they were ended.`,
    {
      hint: `See what they wait for: select pid, state, wait_event from pg_stat_activity where usesysid = ${role.oid}`,
    },
  );
}

/** As text: a Date would cut the microseconds, and with them the youngest sessions. */
async function serverTime(connection: Connection): Promise<string> {
  const { rows } = await connection.query<{ now: string }>('select clock_timestamp()::text as now');
  return rows[0]?.now ?? '';
}

async function terminate(connection: Connection, at: { oid: number; before: string }): Promise<number> {
  const { rowCount } = await connection.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where usesysid = $1::oid and backend_type <> 'parallel worker' and backend_start <= $2::timestamptz`,
    [at.oid, at.before],
  );
  return rowCount ?? 0;
}
