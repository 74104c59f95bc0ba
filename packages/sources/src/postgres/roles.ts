import { createHash } from 'node:crypto';
import type { CredentialRef, RotationId } from '@keyturn/source';
import { escapeIdentifier as name, escapeLiteral as text } from 'pg';
import type { Connection } from './connection.ts';

/** A login role as the server has it now. */
export interface Role {
  readonly oid: number;
  readonly name: string;
  readonly canLogin: boolean;
  /** -1: none. */
  readonly connectionLimit: number;
  /** What it holds, or held last. */
  readonly ref: CredentialRef;
  /** What people wrote about the role; kept when Keyturn writes its mark behind it. */
  readonly remark: string;
  readonly generation: string | undefined;
  /** True if Keyturn ended what it held last; whoever logs in with it since then owes it to somebody else. */
  readonly revoked: boolean;
}

interface Row {
  readonly oid: number;
  readonly name: string;
  readonly canLogin: boolean;
  readonly connectionLimit: number;
  readonly comment: string | null;
}

/** The login roles that exist. */
export async function lookAtRoles(connection: Connection, roles: readonly string[]): Promise<Role[]> {
  const { rows } = await connection.query<Row>(
    `select oid::int8::float8 as oid, rolname::text as name, rolcanlogin as "canLogin",
       rolconnlimit as "connectionLimit",
       shobj_description(oid, 'pg_authid') as comment
     from pg_roles where rolname = any($1) order by array_position($1::text[], rolname::text)`,
    [roles],
  );
  return rows.map(toRole);
}

/** The generation that a rotation gives a role: the same one however often the rotation issues. */
export function generationOf(rotation: RotationId, role: string): string {
  return createHash('sha256')
    .update(JSON.stringify([rotation, role]))
    .digest('hex')
    .slice(0, 12);
}

/** `orders_b#3f9a…`; just `orders_b` for a role that Keyturn never issued into. */
export function toRef(role: string, generation: string | undefined): CredentialRef {
  return generation === undefined ? role : `${role}#${generation}`;
}

/** The configured role that a ref belongs to, whatever its generation. */
export function roleOf(ref: CredentialRef, roles: readonly string[]): string | undefined {
  return roles.find(
    (role) => ref === role || (ref.startsWith(`${role}#`) && isGeneration(ref.slice(role.length + 1))),
  );
}

/** The statement that marks which generation a role holds, or that it was revoked. */
export function markStatement(
  role: { readonly name: string; readonly remark: string },
  mark: { readonly generation: string | undefined; readonly revoked: boolean },
): string {
  const words = [mark.generation, mark.revoked ? 'revoked' : undefined].filter((word) => word !== undefined);
  const comment = [role.remark, `[keyturn ${words.join(' ')}]`].filter((part) => part !== '').join(' ');
  return `COMMENT ON ROLE ${name(role.name)} IS ${text(comment)}`;
}

const marked = /^(?<remark>.*?) ?\[keyturn (?:(?<generation>[0-9a-f]{12})(?: revoked)?|revoked)\]$/s;

function toRole({ comment, ...row }: Row): Role {
  const { remark = comment ?? '', generation } = marked.exec(comment ?? '')?.groups ?? {};
  const revoked = marked.test(comment ?? '') && (comment ?? '').endsWith('revoked]');
  return { ...row, remark, generation, revoked, ref: toRef(row.name, generation) };
}

function isGeneration(word: string): boolean {
  return /^[0-9a-f]{12}$/.test(word);
}
