import { SourceError } from '@keyturn/source';
import type { Connection } from './connection.ts';
import { credentialOf, type Credential } from './credential.ts';

/** An ACL user, as `ACL GETUSER` tells of it. */
export interface AclUser {
  readonly flags: readonly string[];
  readonly credentials: readonly Credential[];
}

export async function lookAtUser(connection: Connection, user: string): Promise<AclUser | undefined> {
  const found = (await connection.command('ACL', 'GETUSER', user)) as Answer | null;
  if (found === null) return undefined;
  return {
    flags: [...found.flags],
    credentials: found.passwords.map((hash) => credentialOf(user, hash)),
  };
}

interface Answer {
  readonly flags: Iterable<string>;
  readonly passwords: readonly string[];
}

/** The application's user, if its passwords are what decides who may log in as it. */
export async function usableUser(connection: Connection, user: string): Promise<AclUser> {
  const found = await lookAtUser(connection, user);
  if (found === undefined)
    throw unfit(`The ACL user ${user} does not exist`, `ACL SETUSER ${user} on >PASSWORD, and its rights`);
  if (found.flags.includes('nopass'))
    throw unfit(
      `${user} has the flag nopass, so any password logs in`,
      `Give its password to every client of it, then ACL SETUSER ${user} resetpass >PASSWORD`,
    );
  if (!found.flags.includes('on')) throw unfit(`The ACL user ${user} is off`, `ACL SETUSER ${user} on`);
  return found;
}

function unfit(what: string, hint: string): SourceError {
  return new SourceError('MISCONFIGURED', `${what}.`, { hint });
}

/** Adds (`#…`) and removes (`!…`) hashes of passwords, all in one: the password itself is never sent. */
export async function setHashes(
  connection: Connection,
  user: string,
  hashes: { readonly add?: readonly string[]; readonly remove?: readonly string[] },
): Promise<void> {
  const { add = [], remove = [] } = hashes;
  if (add.length + remove.length === 0) return;
  await connection.command(
    'ACL',
    'SETUSER',
    user,
    ...add.map((hash) => `#${hash}`),
    ...remove.map((hash) => `!${hash}`),
  );
}
