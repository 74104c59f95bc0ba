import { isRefused, type CredentialRef, type SecretValue } from '@keyturn/source';
import type { Rotation } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import { refuseIfNotOurs } from './publish.ts';
import { versionOf } from './version-of.ts';

/** When the old credential was ended, milliseconds since 1970. */
export type Revoked = { readonly at: number };

interface Leaving {
  readonly version: string;
  readonly ref: CredentialRef;
}

/**
 * Ends a credential and its sessions, proves that it is refused, and only then disables its version: a disabled
 * version can't be read, so the tag set with it is what a repetition of this step has to go by.
 */
export async function revoke(rotation: Rotation, leaving: Leaving): Promise<Revoked> {
  const { source, vault, secret, clock } = rotation;
  rotation.report({ kind: 'phase', phase: 'revoke' });
  const version = await versionOf(rotation, leaving.version);
  if (!version.enabled && version.tags.refusedAt !== undefined) return { at: version.tags.refusedAt };
  if (!version.enabled) throw cannotProve(rotation, leaving);

  const value = await vault.read(secret, leaving.version);
  await refuseIfNotOurs(rotation);
  await refuseIfItIsCurrent(rotation, value);
  await source.revoke(leaving.ref);
  await proveRefused(rotation, value);
  const at = clock.now();
  await disable(rotation, leaving, at);
  return { at };
}

/**
 * Every version that holds the dead credential: a roll back publishes one value twice. The one that is leaving
 * comes last, because a repetition of this step takes its tag for the sign that all is done.
 */
async function disable({ vault, secret }: Rotation, leaving: Leaving, refusedAt: number): Promise<void> {
  const others = (await vault.versions(secret)).filter(
    ({ version, enabled, tags }) => enabled && tags.credential === leaving.ref && version !== leaving.version,
  );
  for (const { version } of [...others, leaving]) await vault.disable(secret, version, { refusedAt });
}

/** Somebody may have made the old value current again while the rotation was waiting or down. */
async function refuseIfItIsCurrent({ vault, secret }: Rotation, value: SecretValue): Promise<void> {
  const current = await vault.current(secret);
  if (!current.value.equals(value)) return;
  throw new RotatorError(
    'VAULT_CHANGED',
    `The value to be revoked is current again in version ${current.version} of ${secret}.`,
    {
      hint: 'Nothing was revoked. Publish the value that is to stay, then rotate again.',
    },
  );
}

async function proveRefused({ source, secret }: Rotation, value: SecretValue): Promise<void> {
  try {
    await source.prove(value);
  } catch (error) {
    if (isRefused(error)) return;
    throw error;
  }
  throw new RotatorError('NOT_REFUSED', `The old credential of ${secret} was revoked and still logs in.`, {
    hint: 'The value in the vault belongs to another login than the source is configured for: compare the two.',
  });
}

function cannotProve({ secret }: Rotation, { version }: Leaving): RotatorError {
  return new RotatorError(
    'NOT_REFUSED',
    `Version ${version} of ${secret} was disabled by somebody else, so its value can't be shown to be refused.`,
    {
      hint: 'Enable that version and run the rotation again.',
    },
  );
}
