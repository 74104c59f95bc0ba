import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';

/** A certificate authority of the test's own, and what it has signed. */
export interface Authority {
  readonly cert: string;
  /** A PEM text with private key and certificate, as Key Vault gives it out, and the same as PKCS#12 in base64. */
  issue(name: string): { readonly pem: string; readonly pkcs12: string; readonly fingerprint: string };
}

export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'));
  const openssl = (...args: readonly string[]): Buffer =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  try {
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-subj',
      '/CN=Test',
      '-days',
      '2',
    );
    const [cert, caKey] = [read('ca.crt'), read('ca.key')];
    return {
      cert,
      issue(name) {
        const own = mkdtempSync(join(tmpdir(), 'certificate-'));
        const run = (...args: readonly string[]): Buffer =>
          execFileSync('openssl', args, { cwd: own, stdio: ['ignore', 'pipe', 'ignore'] });
        try {
          writeFileSync(join(own, 'ca.crt'), cert);
          writeFileSync(join(own, 'ca.key'), caKey);
          writeFileSync(join(own, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
          run('req', ...newKey, '-keyout', 'key', '-out', 'csr', '-subj', `/CN=${name}`);
          const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names'];
          run('x509', '-req', '-in', 'csr', ...signed, '-out', 'crt', '-days', '2');
          const [key, crt] = ['key', 'crt'].map((file) => readFileSync(join(own, file), 'utf8'));
          const pfx = run('pkcs12', '-export', '-inkey', 'key', '-in', 'crt', '-passout', 'pass:');
          return {
            pem: `${key ?? ''}${crt ?? ''}`,
            pkcs12: pfx.toString('base64'),
            fingerprint: new X509Certificate(crt ?? '').fingerprint256,
          };
        } finally {
          rmSync(own, { recursive: true });
        }
      },
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
