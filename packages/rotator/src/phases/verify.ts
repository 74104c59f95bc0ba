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
    if (isRefused(error)) return { rejected: 'the source refuses the published value', notChecked: [] };
    throw error;
  }
  return {
    notChecked: (await hasTraffic(rotation, fresh))
      ? []
      : ['traffic: nobody has logged in with the new value yet'],
  };
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
