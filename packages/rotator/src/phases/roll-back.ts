import type { CredentialRef } from '@keyturn/source';
import type { Published, Rotation } from '../rotation.ts';
import { findRollBack, publish } from './publish.ts';

/** Makes the old value, which still works, the newest version. */
export async function publishOldValue(rotation: Rotation, ref: CredentialRef): Promise<Published> {
  const { vault, secret, source, from } = rotation;
  rotation.report({ kind: 'phase', phase: 'roll back' });
  const done = await findRollBack(rotation);
  if (done) return done;
  const value = await vault.read(secret, from);
  await source.prove(value);
  return publish(rotation, { ref, value, look: findRollBack, rolledBack: true });
}
