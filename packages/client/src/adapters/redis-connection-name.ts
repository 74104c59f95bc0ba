import { createHash } from 'node:crypto';

/**
 * `orders-api@3f9a02c41d7e`: the name of a connection that logged in with this password. Redis tells which user a
 * connection belongs to and not which of its passwords it came with, so that the name has to. The rotator computes the
 * same twelve characters of the hash that the server keeps, and that is why the password is hashed before it is hashed
 * with the word in front. They tell nothing of a password that Keyturn made (256 random bits); of one that people
 * thought of they let one try guesses, so show the names to nobody who may not see `CLIENT LIST`.
 */
export function connectionName(prefix: string, password: string): string {
  return `${prefix}@${sha256(`keyturn:${sha256(password)}`).slice(0, 12)}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
