import type { Connection } from './connection.ts';

/** True if a role is a member of another one, directly or by way of others. */
export async function isMemberOf(
  connection: Connection,
  role: { oid: number },
  owner: string,
): Promise<boolean> {
  const { rows } = await connection.query<{ member: boolean }>(
    "select pg_has_role($1::oid, $2::name, 'MEMBER') as member",
    [role.oid, owner],
  );
  return rows[0]?.member === true;
}
