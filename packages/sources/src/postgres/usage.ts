import type { CredentialRef, Usage } from '@keyturn/source';
import type { Connection } from './connection.ts';
import type { PostgresOptions } from './options.ts';
import { demandRights } from './rights.ts';
import { lookAtRoles, roleOf } from './roles.ts';
import { hasOrphanedSessions, sessionsOf } from './sessions.ts';

/** Who is logged in with a credential now. A former credential of the same role has nobody: they were ended with it. */
export async function usage(
  connection: Connection,
  { roles }: PostgresOptions,
  ref: CredentialRef,
): Promise<Usage> {
  await demandRights(connection, [{ to: 'see sessions' }]);
  const name = roleOf(ref, roles);
  const [role] = name === undefined ? [] : await lookAtRoles(connection, [name]);
  if (role) return { sessions: role.ref === ref ? await sessionsOf(connection, role) : [] };
  return name !== undefined && (await hasOrphanedSessions(connection)) ? 'unknown' : { sessions: [] };
}
