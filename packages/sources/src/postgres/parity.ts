import type { SourceFinding } from '@keyturn/source';
import { escapeIdentifier as name } from 'pg';
import type { Connection } from './connection.ts';
import { missingSettings } from './idle-role.ts';
import { isMemberOf } from './membership.ts';
import type { PostgresOptions } from './options.ts';
import type { Role } from './roles.ts';
import { statement } from './setup.ts';

interface Compared {
  readonly current: Role;
  /** Undefined if it doesn't exist yet. */
  readonly idle: Role | undefined;
  readonly idleName: string;
}

/**
 * Compares the idle role with the one in use. What issue makes alike by itself is said and is no fault; what it
 * leaves alone is a warning, because an application that relies on it fails after the swap.
 */
export async function compareRoles(
  connection: Connection,
  options: PostgresOptions,
  { current, idle, idleName }: Compared,
): Promise<SourceFinding[]> {
  const lacking = await whatIssueLeaves(connection, options, { current, idle, idleName });
  const made = idle ? await whatIssueMends(connection, options, { current, idle }) : [];
  const says = idle
    ? `${idleName} acts as ${options.owner} like ${current.name}${made.length > 0 ? `, once issue has run: ${made.join('; ')}` : ''}`
    : `${idleName} does not exist yet; issue creates it in ${options.owner} with the settings of ${current.name}`;
  return lacking.length > 0 ? lacking : [{ about: 'parity', mark: 'ok', says }];
}

async function whatIssueMends(
  connection: Connection,
  { owner }: PostgresOptions,
  { current, idle }: { current: Role; idle: Role },
): Promise<string[]> {
  return [
    ...((await isMemberOf(connection, idle, owner)) ? [] : [statement.joinOwner(idle.name, owner)]),
    ...(await missingSettings(connection, { idle, owner, current })),
  ];
}

async function whatIssueLeaves(
  connection: Connection,
  { owner }: PostgresOptions,
  { current, idle, idleName }: Compared,
): Promise<SourceFinding[]> {
  const [mine, theirs] = [await traitsOf(connection, current.oid), await traitsOf(connection, idle?.oid)];
  const memberships = [...mine.memberships].filter((role) => role !== owner && !theirs.memberships.has(role));
  const attributes = [...mine.attributes].filter((attribute) => !theirs.attributes.has(attribute));
  return [
    ...memberships.map((role) => ({
      says: `${current.name} is a member of ${role}, ${idleName} is not`,
      hint: `${statement.joinOwner(idleName, role)}, or GRANT it to ${name(owner)} for both, if the application uses it`,
    })),
    ...attributes.map((attribute) => ({
      says: `${current.name} has ${attribute}, ${idleName} has not`,
      hint: `ALTER ROLE ${name(idleName)} ${attribute}, if the application uses it`,
    })),
  ].map((found) => ({ about: 'parity', mark: 'warn', ...found }));
}

interface Traits {
  readonly memberships: ReadonlySet<string>;
  readonly attributes: ReadonlySet<string>;
}

/** Of a role that isn't there yet: those that a new one has. */
async function traitsOf(connection: Connection, oid: number | undefined): Promise<Traits> {
  if (oid === undefined) return { memberships: new Set(), attributes: new Set(['INHERIT']) };
  const { rows } = await connection.query<{ memberships: string[]; attributes: string[] }>(
    `select
       array(select distinct granted.rolname::text from pg_auth_members join pg_roles as granted on granted.oid = roleid
         where member = $1::oid) as memberships,
       array_remove(array[
         case when rolsuper then 'SUPERUSER' end, case when rolcreatedb then 'CREATEDB' end,
         case when rolcreaterole then 'CREATEROLE' end, case when rolreplication then 'REPLICATION' end,
         case when rolbypassrls then 'BYPASSRLS' end, case when rolinherit then 'INHERIT' else 'NOINHERIT' end
       ], null) as attributes
     from pg_roles where oid = $1::oid`,
    [oid],
  );
  const [{ memberships, attributes } = { memberships: [], attributes: [] }] = rows;
  return { memberships: new Set(memberships), attributes: new Set(attributes) };
}
