import { isRefused, SourceError, type CredentialRef, type SecretValue, type Source } from '@keyturn/source';
import { slotInUse } from '../policy/idle-slot.ts';
import { mayStart, type Refusal } from '../policy/may-start.ts';
import { whatAnEmergencyBreaks } from '../policy/what-breaks.ts';
import type { Rotation } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import { versionTags } from '../vault.ts';
import { findPublished, findRollBack } from './publish.ts';
import { versionOf } from './version-of.ts';

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
  rotation.report({ kind: 'phase', phase: 'preflight' });
  try {
    const old = await look(rotation);
    if (rotation.request?.compromised) await warn(rotation, old);
    return old;
  } catch (error) {
    throw isUnfit(error)
      ? new RotatorError('PREFLIGHT', error.message, { hint: error.hint, cause: error })
      : error;
  }
}

async function look(rotation: Rotation): Promise<Old> {
  const { vault, secret, source, clock, policy, id, from } = rotation;
  const current = await vault.current(secret);
  const replaced = await versionOf(rotation, from);
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
    peoplesTags: Math.max(current.peoplesTags, replaced.peoplesTags),
  });
  if (refusal) throw refused(rotation, refusal);
  const ref = replaced.tags.credential ?? (await findCredential(rotation));
  const others = (await source.list()).filter((other) => other !== ref);
  for (const other of others) await refuseIfInUse(rotation, other);
  return {
    ref,
    incarnation: current.tags.rotation === id || others.length > 0 ? 'unknown' : rotation.incarnation,
    rolledBack: (await findRollBack(rotation)) !== undefined,
  };
}

/** In an emergency people hear what is going to break before anything does. */
async function warn({ policy, fleet, source, secret, report }: Rotation, { ref }: Old): Promise<void> {
  const [instances, usage] = [await fleet.instances(secret), await source.usage(ref)];
  report({ kind: 'emergency', breaks: whatAnEmergencyBreaks({ policy, instances, usage }) });
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
 * A secret that Keyturn sees for the first time has no tag that says which credential it holds. Then the one that
 * the source holds is written there, before a second one exists.
 */
async function findCredential({ vault, secret, source, from }: Rotation): Promise<CredentialRef> {
  const refs = await source.list();
  const [only, ...others] = refs;
  if (only === undefined) {
    throw new SourceError('MISCONFIGURED', `${source.kind} holds no live credential for ${secret}.`, {
      hint: 'Check the names in the configuration of this source.',
    });
  }
  if (others.length > 0) {
    throw new SourceError(
      'AMBIGUOUS',
      `${source.kind} holds ${refs.length} live credentials for ${secret} (${refs.join(', ')}), and nothing says which one version ${from} holds.`,
      {
        hint: `See which one the value of version ${from} logs in with, and set its tag ${versionTags.credential} to that.`,
      },
    );
  }
  await vault.tag(secret, from, { credential: only });
  return only;
}

/** What this rotation itself has put there, and published, is not issued again. */
async function refuseIfInUse(rotation: Rotation, ref: CredentialRef): Promise<void> {
  const usage = await rotation.source.usage(ref);
  if (await findPublished(rotation)) return;
  const refusal = slotInUse({ ref, usage }, await rotation.vault.versions(rotation.secret));
  if (refusal) throw refused(rotation, refusal);
}

/** The source could tell before anything was done that this can't work. */
function isUnfit(error: unknown): error is SourceError {
  return error instanceof SourceError && (error.code === 'MISCONFIGURED' || error.code === 'AMBIGUOUS');
}

function refused({ secret }: Rotation, { reason, hint }: Refusal): RotatorError {
  return new RotatorError('PREFLIGHT', `${secret} is not rotated: ${reason}.`, { hint });
}
