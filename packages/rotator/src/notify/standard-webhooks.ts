import { createHmac } from 'node:crypto';
import type { SecretValue } from '@keyturn/source';

/** What is signed. */
export interface Signed {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly body: string;
}

/**
 * The headers of a Standard Webhook (https://www.standardwebhooks.com). With several secrets there is a signature of
 * each, so that receivers can take up a new one before the old one goes. Throws a `TypeError`, without the secret,
 * if one of them is no signing secret.
 *
 * @example
 * signatureHeaders({ id, at: clock.now(), body }, [new SecretValue('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')]);
 */
export function signatureHeaders(
  { id, at, body }: Signed,
  secrets: readonly SecretValue[],
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(at / 1_000));
  const signatures = secrets.map((secret) => {
    const mac = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`);
    return `v1,${mac.digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

/** `whsec_` and 24 to 64 bytes in base64, as the specification says. */
function keyOf(secret: SecretValue): Buffer {
  const [, encoded = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret.reveal().trim()) ?? [];
  const key = Buffer.from(encoded, 'base64');
  if (key.length >= 24 && key.length <= 64) return key;
  throw new TypeError('A signing secret is whsec_ and 24 to 64 bytes in base64.');
}
