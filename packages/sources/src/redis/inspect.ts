import {
  SourceError,
  type CredentialRef,
  type Inspection,
  type RotationId,
  type SourceFinding,
} from '@keyturn/source';
import { lookAtUser, usableUser } from './acl-user.ts';
import type { Connection } from './connection.ts';
import { attributedConnections } from './connections.ts';
import type { Credential } from './credential.ts';
import { isMarked, readMarks } from './marks.ts';
import type { RedisOptions } from './options.ts';
import { keeper } from './persist.ts';
import { lackingRight, lackingRights } from './rights.ts';
import { refuseUnfitServer, serverInfo } from './server.ts';
import { chooseSlots } from './slots.ts';

/** No rotation has this name, so nothing that the user holds is taken for its own. */
const noRotation: RotationId = '';

/** Looks at everything that issue and revoke would look at; every command only reads. */
export async function inspect(
  connection: Connection,
  options: RedisOptions,
  about: { readonly current: CredentialRef | undefined; readonly rotations: readonly RotationId[] },
): Promise<Inspection> {
  const findings = [
    ...(await rights(connection)),
    ...(await slots(connection, options, about.current)),
    ...(await orFindings('revocation', () => persistence(connection))),
  ];
  return { findings, issued: await issuedBy(connection, options, about.rotations) };
}

async function issuedBy(
  connection: Connection,
  { user }: RedisOptions,
  rotations: readonly RotationId[],
): Promise<Inspection['issued']> {
  try {
    const live = (await lookAtUser(connection, user))?.credentials ?? [];
    const marks = await readMarks(connection, user);
    return live.flatMap(({ ref, fingerprint }) =>
      rotations
        .filter((rotation) => isMarked(marks, fingerprint, { issuedBy: rotation }))
        .map((rotation) => ({ ref, rotation })),
    );
  } catch (error) {
    if (isFinding(error)) return []; // said among the findings
    throw error;
  }
}

async function rights(connection: Connection): Promise<readonly SourceFinding[]> {
  const { rotator } = connection;
  const lacking = await lackingRights(connection);
  if (lacking === 'unknown') {
    const says = `what ${rotator} may do can't be seen ahead: that takes Redis 7 and acl|dryrun`;
    return [{ about: 'rights', mark: 'warn', says, hint: `ACL SETUSER ${rotator} +acl|dryrun` }];
  }
  if (lacking.length > 0) return [{ about: 'rights', mark: 'stop', ...lackingRight(rotator, lacking) }];
  return [{ about: 'rights', mark: 'ok', says: `${rotator} may alter ACL users, see and end connections` }];
}

async function slots(
  connection: Connection,
  options: RedisOptions,
  current: CredentialRef | undefined,
): Promise<readonly SourceFinding[]> {
  const { user } = options;
  return orFindings('parity', async () => {
    const info = await serverInfo(connection);
    refuseUnfitServer(info);
    const { credentials: live } = await usableUser(connection, user);
    const marks = await readMarks(connection, user);
    const chosen = chooseSlots({ user, live, marks, rotation: noRotation, current });
    const staying = live.filter((one) => one !== chosen.current && !chosen.replaced.includes(one));
    return [
      { about: 'parity', mark: 'ok', says: `${user} holds both passwords, with the same rights` },
      ...replicas(info),
      ...(staying.length > 0 ? [setByPeople(user, staying)] : []),
      ...(chosen.current ? await ends(connection, { user, current: chosen.current, live }) : []),
    ];
  });
}

function replicas(info: Readonly<Record<string, string>>): readonly SourceFinding[] {
  const count = Number(info['connected_slaves'] ?? 0);
  if (count === 0) return [];
  return [
    {
      about: 'parity',
      mark: 'warn',
      says: `${count} replicas have ACL users of their own, which are not altered`,
      hint: 'Let no application log in to a replica, and copy the ACL users before one takes over.',
    },
  ];
}

function setByPeople(user: string, others: readonly Credential[]): SourceFinding {
  return {
    about: 'parity',
    mark: 'warn',
    says: `${user} holds ${others.map(({ ref }) => ref).join(', ')} too, which Keyturn did not issue and leaves alone`,
    hint: 'Find out who uses it; remove it if nobody does.',
  };
}

async function ends(
  connection: Connection,
  at: { readonly user: string; readonly current: Credential; readonly live: readonly Credential[] },
): Promise<readonly SourceFinding[]> {
  const { user, current, live } = at;
  const fingerprints = live.map(({ fingerprint }) => fingerprint);
  const { of, unattributable } = await attributedConnections(connection, { user, fingerprints });
  const now = of(current.fingerprint).length;
  const sure: SourceFinding = {
    about: 'revocation',
    mark: 'ok',
    says: `ends every connection of ${current.ref} that is left by then; now it has ${now}`,
  };
  if (unattributable.length === 0) return [sure];
  const says = `${unattributable.length} connections of ${user} don't say which password they use, so usage is not known and all of them are ended`;
  const hint = 'Use the adapters of @keyturn/client with nameConnections.';
  return [sure, { about: 'revocation', mark: 'warn', says, hint }];
}

async function persistence(connection: Connection): Promise<readonly SourceFinding[]> {
  const where = await keeper(connection, await serverInfo(connection));
  if (where !== undefined)
    return [{ about: 'revocation', mark: 'ok', says: `lasts over a restart: it is written to the ${where}` }];
  return [
    {
      about: 'revocation',
      mark: 'warn',
      says: 'changes are lost on restart: the server has neither an aclfile nor a config file, and the revoked password would work again',
      hint: 'Start the server with an aclfile.',
    },
  ];
}

/** What would stop the rotation is what one looks for; only "don't know" is an error. */
async function orFindings(
  about: SourceFinding['about'],
  look: () => Promise<readonly SourceFinding[]>,
): Promise<readonly SourceFinding[]> {
  try {
    return await look();
  } catch (error) {
    if (!isFinding(error)) throw error;
    const { message, hint } = error;
    return [{ about, mark: 'stop', says: message, ...(hint === undefined ? {} : { hint }) }];
  }
}

function isFinding(error: unknown): error is SourceError {
  return error instanceof SourceError && error.code !== 'UNREACHABLE' && error.code !== 'UNEXPECTED';
}
