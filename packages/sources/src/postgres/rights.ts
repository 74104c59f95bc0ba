import { SourceError } from '@keyturn/source';
import type { Connection } from './connection.ts';
import { statement } from './setup.ts';

/** A right that the rotator role must have. */
export type Right =
  | { readonly to: 'create roles' }
  | { readonly to: 'end sessions' }
  | { readonly to: 'see sessions' }
  /** To alter, comment and grant this role. */
  | { readonly to: 'manage'; readonly role: { readonly oid: number; readonly name: string } };

/** A right that is not there, and the one statement that gives it. */
export interface LackingRight {
  readonly says: string;
  readonly hint: string;
}

/** Throws `FORBIDDEN` for the first right that is lacking; its hint is the one statement that gives it. */
export async function demandRights(connection: Connection, rights: readonly Right[]): Promise<void> {
  for (const right of rights) {
    const lacking = await lackingRight(connection, right);
    if (lacking) throw new SourceError('FORBIDDEN', lacking.says, { hint: lacking.hint });
  }
}

export async function lackingRight(connection: Connection, right: Right): Promise<LackingRight | undefined> {
  const { sql, values, mend } = check(right);
  const { rows } = await connection.query<{ rotator: string; has: boolean }>(
    `select current_user as rotator, ${sql} as has`,
    values,
  );
  const [{ rotator, has } = { rotator: '', has: false }] = rows;
  if (has) return undefined;
  const what = right.to === 'manage' ? `manage ${right.role.name}` : right.to;
  return { says: `The rotator role "${rotator}" may not ${what}.`, hint: mend(rotator) };
}

/** Everything that a rotation is going to need, so that it fails before anything is changed or not at all. */
export function rightsOfRotation(roles: readonly { readonly oid: number; readonly name: string }[]): Right[] {
  return [
    { to: 'create roles' },
    { to: 'end sessions' },
    { to: 'see sessions' },
    ...roles.map((role) => ({ to: 'manage', role }) as const),
  ];
}

interface Check {
  readonly sql: string;
  readonly values: unknown[];
  readonly mend: (rotator: string) => string;
}

function check(right: Right): Check {
  switch (right.to) {
    case 'create roles':
      return {
        sql: '(select rolcreaterole or rolsuper from pg_roles where rolname = current_user)',
        values: [],
        mend: statement.allowCreateRole,
      };
    case 'end sessions':
      return uses('pg_signal_backend');
    case 'see sessions':
      return uses('pg_read_all_stats');
    case 'manage':
      return {
        sql: "pg_has_role($1::oid, 'MEMBER WITH ADMIN OPTION')",
        values: [right.role.oid],
        mend: (rotator) => statement.grantAdmin(right.role.name, rotator),
      };
  }
}

function uses(predefined: string): Check {
  return {
    sql: "pg_has_role($1::name, 'USAGE')",
    values: [predefined],
    mend: (rotator) => statement.grantPredefined(predefined, rotator),
  };
}
