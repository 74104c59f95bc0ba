import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { wireOf } from './identity-wire.ts';
import type { Subject } from './subject.ts';

/** An application in a process of its own: Azure's credentials share one token cache a process. */
export interface Workload {
  readonly credential: 'default' | 'managedIdentity';
  /** App Service's form unless told. */
  readonly through?: 'imds';
  readonly environment?: Readonly<Record<string, string>>;
}

const application = fileURLToPath(new URL('workload-application.ts', import.meta.url));
const patienceMs = 30_000;

/** Whom the application turned out to be, and what it read. */
export async function runWorkload(
  vault: Subject,
  { credential, through, environment = {} }: Workload,
): Promise<{ readonly oid: string; readonly value: string }> {
  const { IDENTITY_ENDPOINT, IDENTITY_HEADER, ...network } = wireOf(vault).environment;
  const identity =
    through === 'imds'
      ? { AZURE_POD_IDENTITY_AUTHORITY_HOST: wireOf(vault).imds }
      : { IDENTITY_ENDPOINT, IDENTITY_HEADER };
  const { stdout } = await promisify(execFile)(process.execPath, [application, vault.url, credential], {
    env: { PATH: process.env['PATH'], ...network, ...identity, ...environment },
    timeout: patienceMs,
  });
  return JSON.parse(stdout) as { oid: string; value: string };
}
