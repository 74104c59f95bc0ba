import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

/** 43 characters of base64url: 256 random bits, and nothing that a URL or a shell would have to escape. */
export function newPassword(randomBytes: (size: number) => Buffer): string {
  return randomBytes(32).toString('base64url');
}

/**
 * What PostgreSQL stores of a password (RFC 5803). Sent in place of the password itself, which therefore appears
 * in no statement, server log or view.
 */
export function scramVerifier(password: string, salt: Buffer): string {
  // The password is ASCII without spaces, for which SASLprep changes nothing.
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const keyed = (label: string) => createHmac('sha256', salted).update(label).digest();
  const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
  const serverKey = keyed('Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

/** PostgreSQL's own number: a password of 256 random bits gains nothing from more, and each login would cost more. */
const iterations = 4096;
