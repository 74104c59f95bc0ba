import {
  SourceError,
  type CredentialRef,
  type Inspection,
  type RotationId,
  type SourceFinding,
} from '@keyturn/source';
import type { Connection } from './connection.ts';
import { refuseIfUnfit } from './current-role.ts';
import { ownerRole } from './issue.ts';
import type { PostgresOptions } from './options.ts';
import { compareRoles } from './parity.ts';
import { lackingRight, rightsOfRotation } from './rights.ts';
import { generationOf, lookAtRoles, type Role } from './roles.ts';
import { sessionsOf } from './sessions.ts';
import { chooseSlots, type Slots } from './slots.ts';

/** No rotation has this name, so nothing that the roles hold is taken for its own. */
const noRotation: RotationId = '';

/** Looks at everything that issue and revoke would look at, in a transaction that can't write. */
export async function inspect(
  connection: Connection,
  options: PostgresOptions,
  about: { readonly current: CredentialRef | undefined; readonly rotations: readonly RotationId[] },
): Promise<Inspection> {
  await connection.query('begin transaction isolation level repeatable read, read only');
  const found = await lookAtRoles(connection, options.roles);
  const findings = [
    ...(await rights(connection, options, found)),
    ...(await slotsAndParity(connection, options, { found, current: about.current })),
  ];
  await connection.query('commit');
  return { findings, issued: issuedBy(about.rotations, found) };
}

/** A role bears its rotation's own generation until it is revoked; then a login was given back by somebody else. */
function issuedBy(rotations: readonly RotationId[], found: readonly Role[]): Inspection['issued'] {
  return found
    .filter(({ canLogin, revoked }) => canLogin && !revoked)
    .flatMap(({ ref, name, generation }) =>
      rotations
        .filter((rotation) => generation === generationOf(rotation, name))
        .map((rotation) => ({ ref, rotation })),
    );
}

async function rights(
  connection: Connection,
  options: PostgresOptions,
  found: readonly Role[],
): Promise<SourceFinding[]> {
  const owner = await orFinding('rights', () => ownerRole(connection, options));
  if ('about' in owner) return [owner];
  const findings: SourceFinding[] = [];
  for (const right of rightsOfRotation([owner, ...found])) {
    const lacking = await lackingRight(connection, right);
    if (lacking) findings.push({ about: 'rights', mark: 'stop', ...lacking });
  }
  const may = `the rotator role may create roles, see and end sessions, and manage ${[owner, ...found].map(({ name }) => name).join(', ')}`;
  return findings.length > 0 ? findings : [{ about: 'rights', mark: 'ok', says: may }];
}

async function slotsAndParity(
  connection: Connection,
  options: PostgresOptions,
  { found, current }: { found: readonly Role[]; current: CredentialRef | undefined },
): Promise<SourceFinding[]> {
  const slots = await orFinding('parity', async () =>
    chooseSlots({ options, found, current, rotation: noRotation }),
  );
  if ('about' in slots) return [slots];
  return [
    ...(await parity(connection, options, { slots, found })),
    ...(slots.current ? await revocation(connection, slots.current) : []),
  ];
}

async function parity(
  connection: Connection,
  options: PostgresOptions,
  { slots, found }: { slots: Slots; found: readonly Role[] },
): Promise<SourceFinding[]> {
  const { current } = slots;
  if (!current) return [];
  const unfit = await orFinding('parity', () => refuseIfUnfit(connection, options, current).then(() => ({})));
  if ('about' in unfit) return [unfit];
  const idle = found.find(({ name }) => name === slots.idle);
  return compareRoles(connection, options, { current, idle, idleName: slots.idle });
}

async function revocation(connection: Connection, role: Role): Promise<SourceFinding[]> {
  const sessions = (await sessionsOf(connection, role)).length;
  const { rows } = await connection.query<{ prepared: number }>(
    'select count(*)::int4 as prepared from pg_prepared_xacts where owner = $1',
    [role.name],
  );
  const prepared = rows[0]?.prepared ?? 0;
  const ends: SourceFinding = {
    about: 'revocation',
    mark: 'ok',
    says: `ends every session of ${role.name} that is left by then (57P01); now it has ${sessions}`,
  };
  if (prepared === 0) return [ends];
  return [
    ends,
    {
      about: 'revocation',
      mark: 'warn',
      says: `${prepared} prepared transactions of ${role.name} outlive its sessions`,
      hint: 'See pg_prepared_xacts; commit or roll back those that nobody needs.',
    },
  ];
}

/** What would stop the rotation is what one looks for; only "don't know" is an error. */
async function orFinding<T extends object>(
  about: SourceFinding['about'],
  look: () => Promise<T>,
): Promise<T | SourceFinding> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof SourceError) || error.code === 'UNREACHABLE' || error.code === 'UNEXPECTED')
      throw error;
    const { message, hint } = error;
    return { about, mark: 'stop', says: message, ...(hint === undefined ? {} : { hint }) };
  }
}
