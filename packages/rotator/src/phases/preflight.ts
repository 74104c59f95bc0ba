import { SourceError, type CredentialRef } from '@keyturn/source';
import { slotInUse } from '../policy/idle-slot.ts';
import { mayStart, startFacts, type Refusal } from '../policy/may-start.ts';
import { whatAnEmergencyBreaks } from '../policy/what-breaks.ts';
import { whichCredential } from '../policy/which-credential.ts';
import type { Rotation } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import { authenticates } from './authenticates.ts';
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
  const refusal = mayStart(
    startFacts({
      policy,
      requested: rotation,
      current,
      replaced,
      others: await rotation.others(),
      currentAuthenticates: await authenticates(source, current.value),
      now: clock.now(),
    }),
  );
  if (refusal) throw refused(rotation, refusal);
  const live = await source.list();
  const { ref, toBeTagged } = whichCredential({ secret, kind: source.kind, version: replaced, live });
  // A secret that Keyturn sees for the first time: written there before a second credential exists.
  if (toBeTagged) await vault.tag(secret, from, { credential: ref });
  const others = live.filter((other) => other !== ref);
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

/** What this rotation itself has put there, and published, is not issued again. */
async function refuseIfInUse(rotation: Rotation, ref: CredentialRef): Promise<void> {
  const usage = await rotation.source.usage(ref);
  if (await findPublished(rotation)) return;
  const { vault, fleet, secret } = rotation;
  const refusal = slotInUse({ ref, usage }, await vault.versions(secret), await fleet.instances(secret));
  if (refusal) throw refused(rotation, refusal);
}

/** The source could tell before anything was done that this can't work. */
function isUnfit(error: unknown): error is SourceError {
  return error instanceof SourceError && (error.code === 'MISCONFIGURED' || error.code === 'AMBIGUOUS');
}

function refused({ secret }: Rotation, { reason, hint }: Refusal): RotatorError {
  return new RotatorError('PREFLIGHT', `${secret} is not rotated: ${reason}.`, { hint });
}
