import { isRefused } from '@keyturn/source';
import type { Published, Rotation } from '../rotation.ts';
import { authenticates } from './authenticates.ts';
import type { Convergence } from './converge.ts';
import { versionOf } from './version-of.ts';

/** Is the new value good? `rejected` says why not; `notChecked` names what could not be seen. */
export type Verification = { readonly rejected?: string; readonly notChecked: readonly string[] };

/**
 * Shows that traffic authenticates with the new value: it still logs in, somebody but us has logged in with it,
 * and nobody was turned away.
 */
export async function verify(
  rotation: Rotation,
  fresh: Published,
  convergence: Convergence,
): Promise<Verification> {
  rotation.report({ kind: 'phase', phase: 'verify' });
  const verification = await judge(rotation, fresh, convergence);
  if (verification.rejected === undefined || (await isWayBackOpen(rotation))) return verification;
  await provePublished(rotation, fresh); // where neither works, people have to see to it
  return {
    notChecked: [
      ...(convergence.rejections.length > 0 ? ['convergence: it ended when a roll back was asked for'] : []),
      `roll back: the old credential is gone already (${verification.rejected})`,
    ],
  };
}

/** An earlier run may have ended the old credential and failed behind that: then the only way is on. */
async function isWayBackOpen(rotation: Rotation): Promise<boolean> {
  const { tags } = await versionOf(rotation, rotation.from);
  if (tags.refusedAt !== undefined) return false;
  return authenticates(rotation.source, await rotation.vault.read(rotation.secret, rotation.from));
}

async function provePublished({ source, vault, secret }: Rotation, { version }: Published): Promise<void> {
  await source.prove(await vault.read(secret, version));
}

async function judge(rotation: Rotation, fresh: Published, convergence: Convergence): Promise<Verification> {
  if (convergence.rejections.length > 0)
    return { rejected: convergence.rejections.join('; '), notChecked: [] };
  try {
    await provePublished(rotation, fresh);
  } catch (error) {
    // In an emergency the old value is in the wrong hands: it is no way back.
    if (isRefused(error) && !rotation.request?.compromised)
      return { rejected: 'the source refuses the published value', notChecked: [] };
    throw error;
  }
  return traffic(rotation, fresh);
}

/** Has somebody but us logged in? Waits for it where the policy says for how long. */
async function traffic(rotation: Rotation, fresh: Published): Promise<Verification> {
  const { clock, policy, request } = rotation;
  const { freshLoginWithinMs = 0 } = policy;
  const until = clock.now() + (request?.compromised ? 0 : freshLoginWithinMs);
  while (!(await hasTraffic(rotation, fresh))) {
    if (clock.now() < until) await clock.sleep(policy.pollMs);
    else if (freshLoginWithinMs === 0 || request?.compromised)
      return { notChecked: ['traffic: nobody has logged in with the new value yet'] };
    else
      return {
        rejected: `nobody has logged in with the new value within ${freshLoginWithinMs / 1_000} s`,
        notChecked: [],
      };
  }
  return { notChecked: [] };
}

async function hasTraffic(
  { source, fleet, secret }: Rotation,
  { ref, version }: Published,
): Promise<boolean> {
  const instances = await fleet.instances(secret);
  if (instances.some((one) => one.version === version && one.authenticatedAt !== undefined)) return true;
  const usage = await source.usage(ref);
  return usage !== 'unknown' && usage.sessions.length > 0;
}
