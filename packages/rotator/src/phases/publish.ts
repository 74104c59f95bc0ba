import type { CredentialRef, SecretValue } from '@keyturn/source';
import type { Published, Rotation } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';
import { mayHaveTakenEffect, type VaultVersion } from '../vault.ts';

/** The version that this rotation published, if it did. */
export async function findPublished(rotation: Rotation): Promise<Published | undefined> {
  return find(rotation, (version) => !version.tags.rolledBack);
}

/** The version by which this rotation took its new credential back, if it did. */
export async function findRollBack(rotation: Rotation): Promise<Published | undefined> {
  return find(rotation, (version) => version.tags.rolledBack === true);
}

type Find = (rotation: Rotation) => Promise<Published | undefined>;

/**
 * Looks again after every request that may still be under way has been given up, so that its outcome is final.
 * Only then may a credential be issued again: a late publication of a replaced value would be an outage. The
 * wait comes even if the first look fails, because the step is then tried again and must not find it skipped.
 */
export async function settle(rotation: Rotation, look: Find): Promise<Published | undefined> {
  const [first] = await Promise.allSettled([look(rotation)]);
  if (first.status === 'fulfilled' && first.value) return first.value;
  await rotation.clock.sleep(2 * rotation.policy.requestTimeoutMs);
  return look(rotation);
}

/** Publishes a proven value as the newest version and reads it back. An answer that is lost is settled. */
export async function publish(
  rotation: Rotation,
  at: { ref: CredentialRef; value: SecretValue; look: Find; rolledBack?: boolean },
): Promise<Published> {
  const { vault, secret, id, clock, policy } = rotation;
  const { ref, value, look, rolledBack = false } = at;
  rotation.report({ kind: 'phase', phase: 'publish' });
  const published = await vault
    .publish(secret, value, {
      expiresOn: new Date(clock.now() + policy.validityMs),
      tags: { rotation: id, credential: ref, ...(rolledBack ? { rolledBack } : {}) },
    })
    .then((version) => toPublished(version, ref))
    .catch(async (error: unknown) => {
      const landed = mayHaveTakenEffect(error) ? await settle(rotation, look) : undefined;
      if (!landed) throw error;
      return landed;
    });
  const current = await vault.current(secret);
  if (current.version !== published.version || !current.value.equals(value)) {
    throw new RotatorError(
      'VAULT_CHANGED',
      `Somebody else published version ${current.version} of ${secret} at the same time.`,
      {
        hint: `Decide which value is right and set it; version ${published.version} is Keyturn's.`,
      },
    );
  }
  return published;
}

/**
 * Whatever somebody else publishes while a rotation is open is theirs to decide about: nothing is put over it
 * or ended under it, also where it was published in the very moment before Keyturn's own version.
 */
export async function refuseIfNotOurs(rotation: Rotation): Promise<void> {
  const { vault, secret, id } = rotation;
  const current = await vault.current(secret);
  const versions = await vault.versions(secret);
  const foreign = current.tags.rotation === id ? foreignVersion(rotation, versions) : current;
  if (!foreign) return;
  throw new RotatorError(
    'VAULT_CHANGED',
    `Somebody else published version ${foreign.version} of ${secret}.`,
    {
      hint: 'Nothing was revoked. Decide which value is to stay, publish that one as the newest version, then rotate.',
    },
  );
}

/**
 * An enabled version that is newer than the one to be replaced and does not come from this rotation. Where the one
 * to be replaced can't be seen, every other one is.
 */
export function foreignVersion(
  { id, from }: Rotation,
  versions: readonly VaultVersion[],
): VaultVersion | undefined {
  const since = versions.find(({ version }) => version === from)?.createdAt ?? -Infinity;
  return versions.find(
    ({ enabled, createdAt, tags }) => enabled && createdAt > since && tags.rotation !== id,
  );
}

async function find(
  { vault, secret, id }: Rotation,
  which: (version: VaultVersion) => boolean,
): Promise<Published | undefined> {
  const version = (await vault.versions(secret)).find(
    (candidate) => candidate.tags.rotation === id && which(candidate),
  );
  return version?.tags.credential === undefined ? undefined : toPublished(version, version.tags.credential);
}

/** Key Vault counts in seconds and cuts off the rest: a window measured from there must not be too short. */
function toPublished({ version, createdAt, tags }: VaultVersion, ref: CredentialRef): Published {
  const rolledBack = tags.rolledBack ? ({ rolledBack: true } as const) : {};
  return { version, ref, publishedAt: createdAt + 1_000, ...rolledBack };
}
