import { generateKeyPair, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { createAuthority } from './certificates.ts';
import { EmulatorError } from './emulator-error.ts';

// What must survive a restart. Clients trust the CA by a file they read once, and keep tokens for the whole
// life of their process: with new keys, both would be refused until every client restarts.
const schema = z.object({
  authority: z.object({ certificate: z.string(), privateKey: z.string() }),
  /** RSA private key, PKCS#8 PEM. */
  signingKey: z.string(),
});

export type KeyMaterial = z.output<typeof schema>;

/** Reads the keys in the folder, or makes them there. All files are for the owner only. */
export async function openKeyMaterial(folder: string): Promise<KeyMaterial & { readonly caFile: string }> {
  const keysFile = join(folder, 'keys.json');
  const caFile = join(folder, 'ca.pem');
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const text = (await readIfPresent(keysFile)) ?? (await createOnce(keysFile));
    const keys = schema.parse(JSON.parse(text));
    if ((await readIfPresent(caFile)) !== keys.authority.certificate)
      await viaNeighbour(caFile, keys.authority.certificate, rename);
    return { ...keys, caFile };
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

/** Whoever comes first decides: a second emulator that starts at the same moment reads the first one's keys. */
async function createOnce(keysFile: string): Promise<string> {
  const keys: KeyMaterial = {
    authority: createAuthority(new Date()),
    signingKey: await createSigningKey(),
  };
  await viaNeighbour(keysFile, JSON.stringify(keys), async (neighbour, file) => {
    try {
      await link(neighbour, file);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  });
  return readFile(keysFile, 'utf8');
}

/** Writes a file beside the target and puts it in place in one go, so that no crash leaves half a file. */
async function viaNeighbour(
  file: string,
  content: string,
  put: (neighbour: string, file: string) => Promise<void>,
): Promise<void> {
  const neighbour = `${file}.${randomUUID()}`;
  try {
    await writeFile(neighbour, content, { mode: 0o600, flag: 'wx' });
    await put(neighbour, file);
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

async function createSigningKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
