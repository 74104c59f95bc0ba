import { isRefused } from '@keyturn/source';
import type { Published, Rotation } from '../rotation.ts';
import type { Convergence } from './converge.ts';

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
  if (convergence.rejections.length > 0)
    return { rejected: convergence.rejections.join('; '), notChecked: [] };
  try {
    await rotation.source.prove(await rotation.vault.read(rotation.secret, fresh.version));
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
