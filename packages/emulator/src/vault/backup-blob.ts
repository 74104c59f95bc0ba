import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { malformedBackup } from './refusals.ts';
import type { SecretVersion } from './secret.ts';

// A backup is opaque to whoever keeps it: on Azure nobody but the same subscription's vaults can read it, here
// nobody but emulators with the same keys.

/** Everything there is of a secret, versions in the order they were set. */
export interface Backup {
  readonly name: string;
  readonly versions: readonly SecretVersion[];
}

export interface BackupBlobs {
  seal(backup: Backup): string;
  /** Throws the service's refusal when it is not a blob of ours. */
  open(blob: string): Backup;
}

const schema: z.ZodType<Backup> = z.object({
  name: z.string(),
  versions: z
    .array(
      z.object({
        id: z.string(),
        value: z.string(),
        contentType: z.string().exactOptional(),
        tags: z.record(z.string(), z.string()).exactOptional(),
        enabled: z.boolean(),
        notBefore: z.number().exactOptional(),
        expires: z.number().exactOptional(),
        created: z.number(),
        updated: z.number(),
      }),
    )
    .min(1),
});

const algorithm = 'aes-256-gcm';
const ivBytes = 12;
const tagBytes = 16;

export function createBackupBlobs(signingKey: string): BackupBlobs {
  const key = Buffer.from(hkdfSync('sha256', signingKey, '', 'keyturn emulator backup', 32));
  return {
    seal(backup) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv(algorithm, key, iv);
      const sealed = [cipher.update(JSON.stringify(backup)), cipher.final()];
      return Buffer.concat([iv, cipher.getAuthTag(), ...sealed]).toString('base64url');
    },
    open(blob) {
      try {
        const bytes = Buffer.from(blob, 'base64url');
        const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, ivBytes), {
          authTagLength: tagBytes,
        });
        decipher.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
        const text =
          decipher.update(bytes.subarray(ivBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8');
        return schema.parse(JSON.parse(text));
      } catch {
        // What went wrong inside would describe a secret.
        throw malformedBackup();
      }
    },
  };
}
