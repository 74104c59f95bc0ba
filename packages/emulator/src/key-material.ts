import { generateKeyPair, randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { promisify } from 'node:util';
import { z } from 'zod';
import { createAuthority } from './network/certificates.ts';
import { EmulatorError } from './emulator-error.ts';

// What must survive a restart. Clients trust the CA by a file they read once, and keep tokens for the whole
// life of their process: with new keys, both would be refused until every client restarts.
const schema = z.object({
  authority: z.object({ certificate: z.string(), privateKey: z.string() }),
  /** RSA private key, PKCS#8 PEM. */
  signingKey: z.string(),
});

export type KeyMaterial = z.output<typeof schema>;

/** The keys together with the files through which other programs come to trust the CA. */
export interface KeyFiles extends KeyMaterial {
  /** The CA's certificate alone, PEM. */
  readonly caFile: string;
  /** The CA and all the others that Node trusts: for programs whose setting replaces their trust. */
  readonly bundleFile: string;
}

/** Reads the keys in the folder, or makes them there. All files are for the owner only. */
export async function openKeyMaterial(folder: string): Promise<KeyFiles> {
  const keysFile = join(folder, 'keys.json');
  try {
    const text = (await readIfPresent(keysFile)) ?? (await createOnce(keysFile));
    return await withFiles(schema.parse(JSON.parse(text)), folder);
  } catch (cause) {
    throw new EmulatorError(
      'DATA_FOLDER_UNUSABLE',
      `The data folder ${folder} cannot be used: ${keysFile} can't be read or written. ` +
        'Name another folder, or remove that file to have new keys made (running clients must then restart).',
      // A parser's message would quote the keys.
      cause instanceof SyntaxError || cause instanceof z.ZodError ? {} : { cause },
    );
  }
}

let ofThisProcess: Promise<KeyMaterial> | undefined;

/**
 * Keys that all emulators of this process share which keep nothing. Azure's credentials have one token cache a
 * process: with keys of its own, the second emulator would be sent tokens of the first.
 */
export async function passingKeyMaterial(folder: string): Promise<KeyFiles> {
  return withFiles(await (ofThisProcess ??= createKeys()), folder);
}

async function withFiles(keys: KeyMaterial, folder: string): Promise<KeyFiles> {
  const { certificate } = keys.authority;
  const caFile = join(folder, 'ca.pem');
  const bundleFile = join(folder, 'ca-bundle.pem');
  if ((await readIfPresent(caFile)) !== certificate) await viaNeighbour(caFile, certificate);
  await viaNeighbour(bundleFile, [certificate, ...rootCertificates].join('\n'));
  return { ...keys, caFile, bundleFile };
}

async function createOnce(keysFile: string): Promise<string> {
  const keys = JSON.stringify(await createKeys());
  await viaNeighbour(keysFile, keys);
  return keys;
}

/** Writes a file beside the target and puts it in place in one go, so that no crash leaves half a file. */
async function viaNeighbour(file: string, content: string): Promise<void> {
  const neighbour = `${file}.${randomUUID()}`;
  try {
    await writeFile(neighbour, content, { mode: 0o600, flag: 'wx' });
    await rename(neighbour, file);
  } finally {
    await rm(neighbour, { force: true });
  }
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function createKeys(): Promise<KeyMaterial> {
  return { authority: createAuthority(new Date()), signingKey: await createSigningKey() };
}

async function createSigningKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
