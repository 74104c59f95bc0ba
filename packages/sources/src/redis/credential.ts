import { createHash } from 'node:crypto';
import type { CredentialRef } from '@keyturn/source';

/** One password of the ACL user, known by its hash alone. */
export interface Credential {
  /** SHA-256 of the password, in hex, as the server keeps it. */
  readonly hash: string;
  readonly fingerprint: string;
  readonly ref: CredentialRef;
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Twelve characters that tell the passwords of a user apart, in refs and in the names of connections. It is made of
 * the hash, since that is all the server tells, and hashed once more, so that it is found in no table of hashes. Who
 * holds it could still try passwords against it: no help with 256 random bits, a hint with one that people thought of.
 * `@keyturn/client` makes the same of the password itself.
 */
export function fingerprintOf(hash: string): string {
  return sha256(`keyturn:${hash}`).slice(0, 12);
}

export function credentialOf(user: string, hash: string): Credential {
  const fingerprint = fingerprintOf(hash);
  return { hash, fingerprint, ref: `${user}#${fingerprint}` };
}

/** The fingerprint in a ref of this user; undefined if it is none. */
export function fingerprintIn(ref: CredentialRef, user: string): string | undefined {
  const { name, fingerprint } = /^(?<name>.+)#(?<fingerprint>[0-9a-f]{12})$/.exec(ref)?.groups ?? {};
  return name === user ? fingerprint : undefined;
}
