import { escapeIdentifier as name, escapeLiteral as text } from 'pg';
import type { Connection } from './connection.ts';

/** One `ALTER ROLE … SET`, in one database or in all of them. */
export interface Setting {
  readonly database: string | null;
  readonly parameter: string;
  readonly value: string;
}

/** What was set for a role with `ALTER ROLE … SET`. */
export async function settingsOf(connection: Connection, role: { oid: number }): Promise<Setting[]> {
  const { rows } = await connection.query<Setting>(
    `select datname::text as database, split_part(entry, '=', 1) as parameter,
       substr(entry, strpos(entry, '=') + 1) as value
     from pg_db_role_setting left join pg_database on pg_database.oid = setdatabase, unnest(setconfig) as entry
     where setrole = $1::oid`,
    [role.oid],
  );
  return rows;
}

export function settingStatement(role: string, { database, parameter, value }: Setting): string {
  const where = database === null ? '' : ` IN DATABASE ${name(database)}`;
  // The server keeps lists as they were quoted, like pg_dumpall, which makes the same distinction.
  const written = lists.has(parameter) ? value : text(value);
  return `ALTER ROLE ${name(role)}${where} SET ${parameter} = ${written}`;
}

export function resetStatement(role: string, { database, parameter }: Setting): string {
  const where = database === null ? '' : ` IN DATABASE ${name(database)}`;
  return `ALTER ROLE ${name(role)}${where} RESET ${parameter}`;
}

const lists = new Set([
  'search_path',
  'temp_tablespaces',
  'local_preload_libraries',
  'session_preload_libraries',
]);
