import { escapeIdentifier as name, escapeLiteral as text } from 'pg';

/** For `setupStatements`. */
export interface SetupOptions {
  readonly owner: string;
  readonly roles: readonly [string, string];
  /** The role that Keyturn logs in as. */
  readonly rotator: string;
  /** The application's database. */
  readonly database: string;
}

/**
 * The SQL that a database administrator runs once: the owner role, the first login role and the rotator role,
 * which is no superuser. The second login role is Keyturn's to create. No statement holds a password: set those
 * of the first login role and of the rotator with `\password` in psql. PostgreSQL 16 or newer.
 *
 * @example
 * const statements = setupStatements({
 *   owner: 'orders_owner',
 *   roles: ['orders_a', 'orders_b'],
 *   rotator: 'keyturn',
 *   database: 'orders',
 * });
 * console.log(statements.join(';\n'));
 */
export function setupStatements({ owner, roles, rotator, database }: SetupOptions): string[] {
  const [first] = roles;
  return [
    statement.createOwner(owner),
    statement.createLogin(first, owner),
    statement.actAsOwner(first, owner),
    `GRANT CONNECT ON DATABASE ${name(database)} TO ${name(owner)}`,
    `CREATE ROLE ${name(rotator)} LOGIN CREATEROLE`,
    `GRANT CONNECT ON DATABASE ${name(database)} TO ${name(rotator)}`,
    statement.grantPredefined('pg_signal_backend', rotator),
    statement.grantPredefined('pg_read_all_stats', rotator),
    statement.grantAdmin(owner, rotator),
    statement.grantAdmin(first, rotator),
  ];
}

/** Each statement that prepares or mends a set-up, so that documentation, hints and code can't drift apart. */
export const statement = {
  createOwner: (owner: string) => `CREATE ROLE ${name(owner)} NOLOGIN`,
  createLogin: (role: string, owner: string) => `CREATE ROLE ${name(role)} LOGIN IN ROLE ${name(owner)}`,
  /** Makes what a login role creates the owner's, so that the other login role can use it. */
  actAsOwner: (role: string, owner: string) => `ALTER ROLE ${name(role)} SET role = ${text(owner)}`,
  joinOwner: (role: string, owner: string) => `GRANT ${name(owner)} TO ${name(role)}`,
  reassign: (role: string, owner: string) => `REASSIGN OWNED BY ${name(role)} TO ${name(owner)}`,
  allowCreateRole: (rotator: string) => `ALTER ROLE ${name(rotator)} CREATEROLE`,
  grantPredefined: (role: string, rotator: string) => `GRANT ${role} TO ${name(rotator)}`,
  /** Enough to alter the role and to grant it, and no more: the rotator doesn't inherit what the role may do. */
  grantAdmin: (role: string, rotator: string) =>
    `GRANT ${name(role)} TO ${name(rotator)} WITH ADMIN OPTION, INHERIT FALSE, SET FALSE`,
} as const;
