import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where an embedded server keeps all that it has. */
export interface DataFolder {
  readonly path: string;
  /** PostgreSQL's own folder. */
  readonly cluster: string;
  readonly logFile: string;
  /** The superuser's. */
  readonly password: string;
}

export async function openDataFolder(path: string): Promise<DataFolder> {
  await mkdir(path, { recursive: true, mode: 0o711 });
  const password = await superuserPassword(path);
  return { path, cluster: join(path, 'postgres'), logFile: join(path, 'postgres.log'), password };
}

async function superuserPassword(path: string): Promise<string> {
  const file = join(path, 'password');
  const known = await readIfThere(file);
  if (known) return known;
  const password = randomBytes(24).toString('base64url');
  const beside = `${file}.${process.pid}`;
  await writeFile(beside, password, { mode: 0o600 });
  await rename(beside, file);
  return password;
}

/** The text of a file; undefined if there is none, and for no other reason. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
