import { SourceError } from '@keyturn/source';
import type { Connection } from './connection.ts';
import { isMemberOf } from './membership.ts';
import type { PostgresOptions } from './options.ts';
import type { Role } from './roles.ts';
import { settingsOf } from './settings.ts';
import { statement } from './setup.ts';

/**
 * Refuses to rotate away from a role whose rights or objects are its own: the other role would lack them, and the
 * application would fail with a login that works. Keyturn never alters the role in use, so people must. The order
 * of the hints is one in which the running application notices nothing.
 */
export async function refuseIfUnfit(
  connection: Connection,
  { owner }: PostgresOptions,
  current: Role,
): Promise<void> {
  if (!(await isMemberOf(connection, current, owner)))
    throw unfit(`${current.name} is no member of ${owner}`, statement.joinOwner(current.name, owner));
  const settings = await settingsOf(connection, current);
  if (settings.some(({ parameter, value }) => parameter === 'role' && value === owner)) return;
  const { owned, granted } = await ofItsOwn(connection, current);
  if (owned.length > 0)
    throw unfit(
      `${current.name} owns objects itself (in ${owned.join(', ')})`,
      statement.reassign(current.name, owner),
    );
  if (granted.length > 0)
    throw unfit(
      `${current.name} holds grants of its own (in ${granted.join(', ')})`,
      `Grant the same to ${owner}, then revoke it from ${current.name}.`,
    );
  throw unfit(
    `${current.name} does not act as ${owner}, so what it creates would be closed to the other role`,
    statement.actAsOwner(current.name, owner),
  );
}

function unfit(what: string, hint: string): SourceError {
  return new SourceError('MISCONFIGURED', `${what}.`, { hint });
}

/** The databases in which a role owns something or was granted something by name. */
async function ofItsOwn(connection: Connection, role: Role): Promise<{ owned: string[]; granted: string[] }> {
  const { rows } = await connection.query<{ kind: 'o' | 'a'; place: string }>(
    `select distinct deptype as kind, coalesce(datname::text, 'the whole server') as place
     from pg_shdepend left join pg_database on pg_database.oid = dbid
     where refclassid = 'pg_authid'::regclass and refobjid = $1::oid and deptype in ('o', 'a')
       and classid not in ('pg_auth_members'::regclass, 'pg_default_acl'::regclass)`,
    [role.oid],
  );
  const where = (kind: 'o' | 'a') => rows.filter((row) => row.kind === kind).map(({ place }) => place);
  return { owned: where('o'), granted: where('a') };
}
