import { SourceError, type RotationId } from '@keyturn/source';
import { lookAtUser, setHashes } from './acl-user.ts';
import type { Connection } from './connection.ts';
import { sha256 } from './credential.ts';

/**
 * What Keyturn notes at the server about the passwords of a user: which rotation issued one, and which one it is about
 * to end. Redis keeps no remarks on users, so the notes are kept where passwords are, on a second user that is off and
 * may do nothing: each is a word that looks like a hash, the fingerprint followed by a digest of what is noted.
 * Nobody knows a password with that hash. Unlike the key patterns of a user, these can be taken away one at a time, so
 * two rotators that write at once lose none.
 */
export interface Marks {
  readonly words: readonly string[];
}

/** What can be noted of a password. */
export type Note = { readonly issuedBy: RotationId } | 'ending';

export function markUser(user: string): string {
  return `keyturn:${user}`;
}

export async function readMarks(connection: Connection, user: string): Promise<Marks> {
  const name = markUser(user);
  const found = await lookAtUser(connection, name);
  if (found && !found.flags.includes('off')) {
    throw new SourceError(
      'MISCONFIGURED',
      `The ACL user ${name} is on, but the name is kept for Keyturn's notes.`,
      {
        hint: `Rename it if somebody uses it; else ACL SETUSER ${name} off`,
      },
    );
  }
  return { words: found?.credentials.map(({ hash }) => hash) ?? [] };
}

export async function mark(
  connection: Connection,
  at: { readonly user: string; readonly fingerprint: string; readonly note: Note },
): Promise<void> {
  const name = markUser(at.user);
  await connection.command('ACL', 'SETUSER', name, 'off', `#${wordOf(at.fingerprint, at.note)}`);
}

export async function unmark(
  connection: Connection,
  at: { readonly user: string; readonly words: readonly string[] },
): Promise<void> {
  await setHashes(connection, markUser(at.user), { remove: at.words });
}

export function isMarked({ words }: Marks, fingerprint: string, note: Note): boolean {
  return words.includes(wordOf(fingerprint, note));
}

/** The words that note which rotation issued something, whichever that is. */
export function issueWords({ words }: Marks): readonly string[] {
  return words.filter((word) => word !== wordOf(fingerprintIn(word), 'ending'));
}

export function wordsOf({ words }: Marks, fingerprint: string): readonly string[] {
  return words.filter((word) => fingerprintIn(word) === fingerprint);
}

export function fingerprintIn(word: string): string {
  return word.slice(0, 12);
}

function wordOf(fingerprint: string, note: Note): string {
  const text = note === 'ending' ? 'ending' : `issued by ${note.issuedBy}`;
  return fingerprint + sha256(text).slice(0, 52);
}
