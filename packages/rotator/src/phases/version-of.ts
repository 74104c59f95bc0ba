import type { Rotation } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import type { VaultVersion } from '../vault.ts';

/** What the vault says of one version. Versions are never deleted, so a missing one is an error. */
export async function versionOf({ vault, secret }: Rotation, version: string): Promise<VaultVersion> {
  const found = (await vault.versions(secret)).find((candidate) => candidate.version === version);
  if (found) return found;
  throw new RotatorError('VAULT_UNEXPECTED', `Version ${version} of ${secret} is not in ${vault.url}.`, {
    hint: 'See whether the secret was deleted and made anew, or the vault in the configuration is another one.',
  });
}
