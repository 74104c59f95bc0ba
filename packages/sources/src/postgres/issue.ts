import { randomBytes as systemRandomBytes } from 'node:crypto';
import { SourceError, type CredentialRef, type Issued, type RotationId } from '@keyturn/source';
import { escapeIdentifier as name, escapeLiteral as text } from 'pg';
import { timeLimits, transaction, type Connection } from './connection.ts';
import { refuseIfUnfit } from './current-role.ts';
import { prepareIdle } from './idle-role.ts';
import { lockSecret } from './lock.ts';
import type { PostgresOptions } from './options.ts';
import { newPassword, scramVerifier } from './password.ts';
import { demandRights, rightsOfRotation } from './rights.ts';
import { generationOf, lookAtRoles, markStatement, toRef, type Role } from './roles.ts';
import { endSessions } from './sessions.ts';
import { statement } from './setup.ts';
import { chooseSlots, type Slots } from './slots.ts';
import { writeValue } from './value.ts';

interface Wanted {
  readonly rotation: RotationId;
  readonly current: CredentialRef | undefined;
}

/** Gives the idle role a new password, in one transaction with the mark that says whose it is. */
export async function issue(
  connection: Connection,
  options: PostgresOptions,
  wanted: Wanted,
): Promise<Issued> {
  const { randomBytes = systemRandomBytes, template, format } = options;
  const password = newPassword(randomBytes);
  const verifier = scramVerifier(password, randomBytes(16));
  const role = await transaction(connection, async () => {
    await lockSecret(connection, options);
    const slots = await look(connection, options, wanted);
    const idle = await prepareIdle(connection, options, slots);
    await giveOut(connection, idle, { rotation: wanted.rotation, verifier, like: slots.current });
    return idle;
  });
  // What still lives here logged in with a password that this one replaced.
  await endSessions(connection, { role, withinMs: timeLimits(options).statementTimeoutMs });
  return {
    ref: toRef(role.name, generationOf(wanted.rotation, role.name)),
    value: writeValue({ template, format, user: role.name, password }),
  };
}

/** Whatever could stop the rotation later, such as a right that only `revoke` needs, stops it here. */
async function look(connection: Connection, options: PostgresOptions, wanted: Wanted): Promise<Slots> {
  const owner = await ownerRole(connection, options);
  const found = await lookAtRoles(connection, options.roles);
  const slots = chooseSlots({ options, found, ...wanted });
  await demandRights(connection, rightsOfRotation([owner, ...found]));
  if (slots.current) await refuseIfUnfit(connection, options, slots.current);
  return slots;
}

export async function ownerRole(connection: Connection, { owner }: PostgresOptions): Promise<Role> {
  const [role] = await lookAtRoles(connection, [owner]);
  if (role) return role;
  throw new SourceError('MISCONFIGURED', `The owner role ${owner} does not exist.`, {
    hint: statement.createOwner(owner),
  });
}

async function giveOut(
  connection: Connection,
  role: Role,
  at: { rotation: RotationId; verifier: string; like: Role | undefined },
): Promise<void> {
  const { connectionLimit } = at.like ?? role;
  // A role that was prepared long ago may have run out, and would be refused however good its password.
  await connection.query(
    `ALTER ROLE ${name(role.name)} LOGIN CONNECTION LIMIT ${connectionLimit} VALID UNTIL 'infinity'
     PASSWORD ${text(at.verifier)}`,
  );
  const generation = generationOf(at.rotation, role.name);
  await connection.query(markStatement(role, { generation, revoked: false }));
}
