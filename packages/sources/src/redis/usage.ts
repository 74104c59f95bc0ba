import type { CredentialRef, Usage } from '@keyturn/source';
import { usableUser } from './acl-user.ts';
import type { Connection } from './connection.ts';
import { attributedConnections } from './connections.ts';
import { fingerprintIn } from './credential.ts';
import type { RedisOptions } from './options.ts';

/**
 * Who is connected with a password now, by the names of the connections. Redis itself tells the user and not which of
 * its passwords: where it sees nobody on this one, but somebody on nobody knows which, it can't tell.
 */
export async function usage(
  connection: Connection,
  { user }: RedisOptions,
  ref: CredentialRef,
): Promise<Usage> {
  const fingerprint = fingerprintIn(ref, user);
  if (fingerprint === undefined) return { sessions: [] };
  const { credentials } = await usableUser(connection, user);
  const fingerprints = [fingerprint, ...credentials.map((one) => one.fingerprint)];
  const { of, unattributable } = await attributedConnections(connection, { user, fingerprints });
  const sessions = of(fingerprint).map(({ session }) => session);
  return sessions.length === 0 && unattributable.length > 0 ? 'unknown' : { sessions };
}
