import type { CredentialRef } from '@keyturn/source';
import { lookAtUser, setHashes } from './acl-user.ts';
import type { Connection } from './connection.ts';
import { attributedConnections, kill } from './connections.ts';
import { fingerprintIn } from './credential.ts';
import { mark, readMarks, unmark, wordsOf } from './marks.ts';
import type { RedisOptions } from './options.ts';
import { persist } from './persist.ts';

/**
 * Removes a password first and ends its connections then, which Redis leaves open, so that none can come back in
 * between. The mark says that this was begun until all of it, the writing to disk included, is done.
 */
export async function revoke(
  connection: Connection,
  { user }: RedisOptions,
  ref: CredentialRef,
): Promise<void> {
  const fingerprint = fingerprintIn(ref, user);
  if (fingerprint === undefined) return;
  const live = (await lookAtUser(connection, user))?.credentials ?? [];
  const ending = live.filter((one) => one.fingerprint === fingerprint);
  const begun = wordsOf(await readMarks(connection, user), fingerprint);
  if (ending.length === 0 && begun.length === 0) return;

  await mark(connection, { user, fingerprint, note: 'ending' });
  await setHashes(connection, user, { remove: ending.map(({ hash }) => hash) });
  await endConnections(connection, {
    user,
    fingerprint,
    staying: live.filter((one) => !ending.includes(one)).map((one) => one.fingerprint),
  });
  await persist(connection);
  const words = wordsOf(await readMarks(connection, user), fingerprint);
  await unmark(connection, { user, words });
  await persist(connection);
}

/** Those that can't be attributed may hold it: they are ended too, and connect again with what they have. */
async function endConnections(
  connection: Connection,
  at: { readonly user: string; readonly fingerprint: string; readonly staying: readonly string[] },
): Promise<void> {
  const { user, fingerprint, staying } = at;
  const fingerprints = [fingerprint, ...staying];
  const { of, unattributable } = await attributedConnections(connection, { user, fingerprints });
  await kill(connection, [...of(fingerprint), ...unattributable]);
}
