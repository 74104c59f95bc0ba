import type { Published, Rotation } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import type { Old } from './preflight.ts';
import { findPublished, foreignVersion, publish, settle } from './publish.ts';

/**
 * Issues a new credential, proves it and publishes it. Where a version of this rotation is already in the vault
 * the work was done: to issue again would kill a value that clients may hold.
 */
export async function issueProveAndPublish(rotation: Rotation, old: Old): Promise<Published> {
  const { source, id } = rotation;
  rotation.report({ kind: 'phase', phase: 'issue' });
  const done = await alreadyPublished(rotation, old);
  if (done) return done;
  await refuseIfSomebodyElsePublished(rotation);
  const { ref, value } = await source.issue(id, old.ref);

  rotation.report({ kind: 'phase', phase: 'prove' });
  await source.prove(value);

  return publish(rotation, { ref, value, look: findPublished });
}

/**
 * Takes back what a failed issue left at the source: every credential that no version in the vault holds. If
 * somebody else published meanwhile, nobody knows what that version holds, so nothing is ended.
 */
export async function undoIssue(rotation: Rotation, old: Old): Promise<void> {
  const { source, vault, secret } = rotation;
  rotation.report({ kind: 'phase', phase: 'roll back' });
  if (await settle(rotation, findPublished)) return; // it is published, so clients may hold it: the rotation stays open
  const versions = await vault.versions(secret);
  if (foreignVersion(rotation, versions)) return;
  const accountedFor = new Set([
    old.ref,
    ...versions.filter(({ enabled }) => enabled).map(({ tags }) => tags.credential),
  ]);
  for (const ref of await source.list()) {
    if (!accountedFor.has(ref)) await source.revoke(ref);
  }
}

/** A process that died may have sent a publication that arrives only now. */
async function alreadyPublished(rotation: Rotation, old: Old): Promise<Published | undefined> {
  const begunByAnother = old.incarnation !== rotation.incarnation;
  return begunByAnother ? settle(rotation, findPublished) : findPublished(rotation);
}

async function refuseIfSomebodyElsePublished({ vault, secret, from }: Rotation): Promise<void> {
  const { version } = await vault.current(secret);
  if (version === from) return;
  throw new RotatorError('VAULT_CHANGED', `Somebody else published version ${version} of ${secret}.`, {
    hint: 'Start again: a new rotation replaces that version.',
  });
}
