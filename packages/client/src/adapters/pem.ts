import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret } from '../secret.ts';
import { SecretsError } from '../secrets-error.ts';

/** A certificate with its private key, in the shapes that node:tls takes. */
export type KeyAndCertificate = { readonly key: string; readonly cert: string } | { readonly pfx: Buffer };

/**
 * Reads a Key Vault certificate as its secret gives it out: a PEM text with the private key and the chain, or a
 * PKCS#12 in base64. A PEM whose key belongs to another certificate is refused here; node:tls says that of a PKCS#12.
 */
export function keyAndCertificate(secret: Secret): KeyAndCertificate {
  const text = secret.reveal().trim();
  if (!text.includes('-----BEGIN ')) return pkcs12(text, secret);
  const blocks = text.match(/-----BEGIN ([A-Z0-9 ]+)-----[^]*?-----END \1-----/g) ?? [];
  const key = blocks.find((block) => /^-----BEGIN [A-Z ]*PRIVATE KEY/.test(block));
  const chain = blocks.filter((block) => block.startsWith('-----BEGIN CERTIFICATE-----'));
  if (key === undefined || chain.length === 0)
    throw formatError(secret, 'it lacks a private key or a certificate');
  if (!belongsTogether(key, chain, secret))
    throw formatError(secret, 'the key belongs to another certificate');
  return { key, cert: chain.join('\n') };
}

function belongsTogether(key: string, [leaf = '']: readonly string[], secret: Secret): boolean {
  try {
    return new X509Certificate(leaf).checkPrivateKey(createPrivateKey(key));
  } catch {
    throw formatError(secret, 'it can not be parsed'); // what the parser says may quote the key
  }
}

function pkcs12(text: string, secret: Secret): KeyAndCertificate {
  const pfx = Buffer.from(text, 'base64');
  // A PKCS#12 is a DER sequence.
  if (!/^[A-Za-z0-9+/=\s]+$/.test(text) || pfx[0] !== 0x30) throw formatError(secret, 'it is neither');
  return { pfx };
}

function formatError(secret: Secret, why: string): SecretsError {
  return new SecretsError(
    'VALUE_FORMAT',
    `The value of ${secret.toString()} is no certificate: ${why}. Store a PEM with private key and chain, or a PKCS#12 in base64.`,
  );
}
