import { Client } from 'pg';
import { roles, secretName, type World } from '../world.ts';
import type { SourceUnderTest } from './source-under-test.ts';

export function postgresUnderTest({ sourceUrl, sourceLog }: World): SourceUnderTest {
  return {
    secret: secretName,
    logIn,
    isRefusal: (answer) => answer === '28P01' || answer === '28000',
    async sessions(value) {
      const rows = await query(
        sourceUrl,
        `select 1 from pg_stat_activity where application_name <> 'invariants'
         and usesysid = (select oid from pg_roles where rolname = $1)`,
        [new URL(value).username],
      );
      return rows.length;
    },
    /** A role that can log in holds the credential that its mark names, or the one it was made with. */
    async live() {
      const rows = await query(
        sourceUrl,
        `select rolname || coalesce(
           '#' || substring(shobj_description(oid, 'pg_authid') from '\\[keyturn ([0-9a-f]{12})'), '') as ref
         from pg_roles where rolcanlogin and rolname = any($1)`,
        [roles],
      );
      return rows.map(({ ref }) => String(ref));
    },
    logLength: async () => (await sourceLog()).length,
    async wasRefused(value, since) {
      const role = new URL(value).username;
      const refusal = new RegExp(`FATAL:.*(authentication failed for user|role) "${role}"`);
      return refusal.test((await sourceLog()).slice(since));
    },
  };
}

/** Logs in; undefined if that worked, the SQLSTATE if not. */
export async function logIn(url: string): Promise<string | undefined> {
  const client = new Client({ connectionString: url, application_name: 'invariants' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? 'no answer';
  } finally {
    await client.end().catch(() => undefined);
  }
}

export async function query(
  url: string,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, [...parameters])).rows;
  } finally {
    await client.end();
  }
}
