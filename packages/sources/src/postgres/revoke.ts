import { SourceError, type CredentialRef } from '@keyturn/source';
import { escapeIdentifier } from 'pg';
import { timeLimits, transaction, type Connection } from './connection.ts';
import { lockSecret } from './lock.ts';
import type { PostgresOptions } from './options.ts';
import { demandRights } from './rights.ts';
import { lookAtRoles, markStatement, roleOf, type Role } from './roles.ts';
import { endSessions, hasOrphanedSessions } from './sessions.ts';

/** Ends a credential's logins first and its sessions then, so that none can come back in between. */
export async function revoke(
  connection: Connection,
  options: PostgresOptions,
  ref: CredentialRef,
): Promise<void> {
  const name = roleOf(ref, options.roles);
  if (name === undefined) return;
  const role = await transaction(connection, () => endLogins(connection, options, { ref, name }));
  if (role === undefined) return;
  await demandRights(connection, [{ to: 'see sessions' }, { to: 'end sessions' }]);
  await endSessions(connection, { role, withinMs: timeLimits(options).statementTimeoutMs });
}

/** The role if it holds, or held last, the credential; undefined if it holds another one by now. */
async function endLogins(
  connection: Connection,
  options: PostgresOptions,
  of: { ref: CredentialRef; name: string },
): Promise<Role | undefined> {
  await lockSecret(connection, options);
  const [role] = await lookAtRoles(connection, [of.name]);
  if (role === undefined) await refuseIfSessionsAreOrphaned(connection, of.name);
  if (role?.ref !== of.ref) return undefined;
  await demandRights(connection, [{ to: 'create roles' }, { to: 'manage', role }]);
  await connection.query(`ALTER ROLE ${escapeIdentifier(role.name)} NOLOGIN PASSWORD NULL`);
  await connection.query(markStatement(role, { generation: role.generation, revoked: true }));
  return role;
}

/** The sessions of a role outlive it, and after that nobody can tell whose they are. */
async function refuseIfSessionsAreOrphaned(connection: Connection, role: string): Promise<void> {
  if (!(await hasOrphanedSessions(connection))) return;
  throw new SourceError('UNEXPECTED', `${role} does not exist, but sessions of a dropped role live on.`, {
    hint: 'select pg_terminate_backend(pid) from pg_stat_activity where usesysid is not null and usesysid not in (select oid from pg_roles)',
  });
}
