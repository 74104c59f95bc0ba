import { isRefused, SourceError, type CredentialRef, type SecretValue, type Source } from '@keyturn/source';
import { mayStart } from '../policy/may-start.ts';
import type { Rotation } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import { versionTags, type VaultVersion } from '../vault.ts';
import { findRollBack } from './publish.ts';

/** What is to be replaced. */
export type Old = {
  readonly ref: CredentialRef;
  /** The process that began this rotation; `unknown` if it left traces and no journal. */
  readonly incarnation: string;
  /** True if an earlier run of this rotation had already begun to roll back. */
  readonly rolledBack: boolean;
};

/** Looks before anything is changed: may this rotation start, and which credential does it replace? */
export async function preflight(rotation: Rotation): Promise<Old> {
  const { vault, secret, source, clock, policy, id, from } = rotation;
  rotation.report({ kind: 'phase', phase: 'preflight' });
  const current = await vault.current(secret);
  const refusal = mayStart({
    policy,
    id,
    from,
    current: {
      version: current.version,
      ...(current.tags.rotation ? { rotation: current.tags.rotation } : {}),
      ...(current.tags.rolledBack ? { rolledBack: true } : {}),
    },
    currentAuthenticates: await authenticates(source, current.value),
    expiresAt: clock.now() + policy.validityMs,
  });
  if (refusal)
    throw new RotatorError('PREFLIGHT', `${secret} is not rotated: ${refusal.reason}.`, {
      hint: refusal.hint,
    });
  const ref = await credentialInUse(rotation);
  const begunBefore = current.tags.rotation === id || (await source.list()).some((other) => other !== ref);
  return {
    ref,
    incarnation: begunBefore ? 'unknown' : rotation.incarnation,
    rolledBack: (await findRollBack(rotation)) !== undefined,
  };
}

async function authenticates(source: Source, value: SecretValue): Promise<boolean> {
  try {
    await source.prove(value);
    return true;
  } catch (error) {
    if (isRefused(error)) return false;
    throw error;
  }
}

/**
 * The replaced version's tag says which credential it holds. A secret that Keyturn sees for the first time has
 * no such tag: then the one credential that the source holds is written there, before a second one exists.
 */
async function credentialInUse(rotation: Rotation): Promise<CredentialRef> {
  const { vault, secret, source, from } = rotation;
  const version = (await vault.versions(secret)).find((candidate) => candidate.version === from);
  if (!version)
    throw new RotatorError('VAULT_UNEXPECTED', `Version ${from} of ${secret} is not in the vault.`);
  if (version.tags.credential) return version.tags.credential;
  const ref = theOnlyOne(await source.list(), rotation, version);
  await vault.tag(secret, from, { credential: ref });
  return ref;
}

function theOnlyOne(
  refs: readonly CredentialRef[],
  { secret, source }: Rotation,
  { version }: VaultVersion,
): CredentialRef {
  const [only, ...others] = refs;
  if (only !== undefined && others.length === 0) return only;
  throw new SourceError(
    only === undefined ? 'MISCONFIGURED' : 'AMBIGUOUS',
    only === undefined
      ? `${source.kind} holds no live credential for ${secret}.`
      : `${source.kind} holds ${refs.length} live credentials for ${secret} (${refs.join(', ')}), and nothing says which one the applications use.`,
    {
      hint:
        only === undefined
          ? 'Check the names in the configuration of this source.'
          : `Set the tag ${versionTags.credential} of version ${version} to the one in use.`,
    },
  );
}
