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
 * Takes back what a failed issue left at the source, as far as that can be done at once. What is left is no harm:
 * nobody holds it, and the next request issues over it.
 */
export async function undoIssue(rotation: Rotation, old: Old): Promise<void> {
  rotation.report({ kind: 'phase', phase: 'roll back' });
  // Why the issue failed is what people are to hear, and this often fails for the same reason.
  await takeBack(rotation, old).catch(() => undefined);
}

/**
 * Ends every credential that no version in the vault holds. If the version to be replaced is not the current one,
 * somebody else has published, and nobody knows what that version holds: then nothing is ended.
 */
async function takeBack(rotation: Rotation, old: Old): Promise<void> {
  const { source, vault, secret, from } = rotation;
  if (await settle(rotation, findPublished)) return; // it is published, so clients may hold it: the rotation stays open
  if ((await vault.current(secret)).version !== from) return;
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
