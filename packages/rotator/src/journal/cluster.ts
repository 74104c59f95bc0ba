import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RotatorError } from '../rotator-error.ts';
import { readIfThere, type DataFolder } from './data-folder.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';

/** initdb does not survive being killed, so it works beside the final place and is moved there when complete. */
export async function initialise(folder: DataFolder, binaries: PostgresBinaries): Promise<void> {
  if (await readIfThere(join(folder.cluster, 'PG_VERSION'))) return;
  const work = join(folder.path, `initialising-${process.pid}`);
  await rm(work, { recursive: true, force: true });
  try {
    await mkdir(work, { mode: 0o700 });
    await rename(await makeCluster(work, folder, binaries), folder.cluster);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function makeCluster(work: string, folder: DataFolder, binaries: PostgresBinaries): Promise<string> {
  const passwordFile = join(work, 'password');
  await writeFile(passwordFile, folder.password, { mode: 0o600 });
  const { uid, gid } = binaries.runAs;
  if (uid !== undefined && gid !== undefined) {
    await chown(work, uid, gid);
    await chown(passwordFile, uid, gid);
  }
  const made = join(work, 'cluster');
  const settings = ['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale'];
  const child = spawn(
    binaries.initdb,
    [`--pgdata=${made}`, '--username=postgres', `--pwfile=${passwordFile}`, ...settings],
    { ...binaries.runAs, cwd: work, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return made;
  const reason = errors.trim().split('\n').at(-1);
  throw new RotatorError('JOURNAL', `The embedded PostgreSQL could not be initialised: ${reason}`, {
    hint: `See that ${folder.path} is writable and has 100 MB free.`,
  });
}
