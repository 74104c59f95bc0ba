import type { Published, Rotation } from '../rotation.ts';
import type { Old } from './preflight.ts';
import { findRollBack, publish, refuseIfNotOurs, settle } from './publish.ts';

/** Makes the old value, which still works, the newest version. */
export async function publishOldValue(rotation: Rotation, old: Old): Promise<Published> {
  const { vault, secret, source, from } = rotation;
  rotation.report({ kind: 'phase', phase: 'roll back' });
  // A process that died may have sent it: two of them would leave the instances on the one not waited for.
  const begunByAnother = old.incarnation !== rotation.incarnation;
  const done = await (begunByAnother ? settle(rotation, findRollBack) : findRollBack(rotation));
  if (done) return done;
  await refuseIfNotOurs(rotation);
  const value = await vault.read(secret, from);
  await source.prove(value);
  return publish(rotation, { ref: old.ref, value, look: findRollBack, rolledBack: true });
}
