import { randomBytes as systemRandomBytes } from 'node:crypto';
import type { CredentialRef, Issued, RotationId } from '@keyturn/source';
import { setHashes, usableUser } from './acl-user.ts';
import type { Connection } from './connection.ts';
import { attributedConnections, kill } from './connections.ts';
import { credentialOf, sha256 } from './credential.ts';
import { writeValue } from './login.ts';
import { fingerprintIn, issueWords, mark, readMarks, unmark } from './marks.ts';
import type { RedisOptions } from './options.ts';
import { persist } from './persist.ts';
import { demandRights } from './rights.ts';
import { refuseUnfitServer, serverInfo } from './server.ts';
import { chooseSlots } from './slots.ts';

/**
 * Gives the user another password. The mark that says whose it is comes first, so that one whose issue broke off can be
 * told from one that is in use.
 */
export async function issue(
  connection: Connection,
  options: RedisOptions,
  wanted: { readonly rotation: RotationId; readonly current: CredentialRef | undefined },
): Promise<Issued> {
  const { user, randomBytes = systemRandomBytes } = options;
  await demandRights(connection);
  refuseUnfitServer(await serverInfo(connection));
  const { credentials: live } = await usableUser(connection, user);
  const { replaced } = chooseSlots({ user, live, marks: await readMarks(connection, user), ...wanted });

  // 43 characters of base64url: 256 random bits, and nothing that a URL or a shell would have to escape.
  const password = randomBytes(32).toString('base64url');
  const { hash, fingerprint, ref } = credentialOf(user, sha256(password));
  await mark(connection, { user, fingerprint, note: { issuedBy: wanted.rotation } });
  await setHashes(connection, user, { add: [hash], remove: replaced.map((one) => one.hash) });
  await endWhatIsReplaced(connection, user);
  await persist(connection);
  return { ref, value: writeValue(options, password) };
}

/** Ends the connections of every password that was issued and is no more, also of one whose replacement broke off. */
async function endWhatIsReplaced(connection: Connection, user: string): Promise<void> {
  const { credentials } = await usableUser(connection, user);
  const live = new Set(credentials.map(({ fingerprint }) => fingerprint));
  const dead = issueWords(await readMarks(connection, user)).filter((word) => !live.has(fingerprintIn(word)));
  if (dead.length === 0) return;
  const fingerprints = dead.map(fingerprintIn);
  const { of } = await attributedConnections(connection, { user, fingerprints });
  await kill(connection, fingerprints.flatMap(of));
  await unmark(connection, { user, words: dead });
}
