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
 * Only then may a credential be issued again: a late publication of a replaced value would be an outage.
 */
export async function settle(rotation: Rotation, look: Find): Promise<Published | undefined> {
  const found = await look(rotation);
  if (found) return found;
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
function toPublished({ version, createdAt }: VaultVersion, ref: CredentialRef): Published {
  return { version, ref, publishedAt: createdAt + 1_000 };
}
