import type { DeletedSecret, NamedVersion } from './secret.ts';

// How secrets look on the wire. `JSON.stringify` leaves out what is undefined, as the service does.

export interface BundleWriter {
  /** The answer to get and set, with the value. */
  readonly withValue: (secret: NamedVersion) => object;
  /** The answer to update and recover, without the value. */
  readonly withoutValue: (secret: NamedVersion) => object;
  /** An entry of the list of secrets: no version id in it. */
  readonly listed: (secret: NamedVersion) => object;
  /** An entry of the list of versions. */
  readonly listedVersion: (secret: NamedVersion) => object;
  readonly deleted: (secret: DeletedSecret) => object;
  readonly listedDeleted: (secret: DeletedSecret) => object;
}

/** Ids always carry the vault's real-looking URL, whichever way the client came in. */
export function createBundleWriter(vaultUrl: string, recoverableDays: number): BundleWriter {
  const recoveryLevel = recoverableDays === 90 ? 'Recoverable+Purgeable' : 'CustomizedRecoverable+Purgeable';
  const described = ({ version }: NamedVersion) => ({
    contentType: version.contentType,
    attributes: {
      enabled: version.enabled,
      nbf: version.notBefore,
      exp: version.expires,
      created: version.created,
      updated: version.updated,
      recoveryLevel,
      recoverableDays,
    },
    tags: version.tags,
  });
  const baseId = (name: string): string => `${vaultUrl}/secrets/${name}`;
  const id = ({ name, version }: NamedVersion): string => `${baseId(name)}/${version.id}`;
  const deletion = (secret: DeletedSecret) => ({
    recoveryId: `${vaultUrl}/deletedsecrets/${secret.name}`,
    deletedDate: secret.deletedAt,
    scheduledPurgeDate: secret.scheduledPurge,
  });
  return {
    withValue: (secret) => ({ value: secret.version.value, id: id(secret), ...described(secret) }),
    withoutValue: (secret) => ({ id: id(secret), ...described(secret) }),
    listed: (secret) => ({ id: baseId(secret.name), ...described(secret) }),
    listedVersion: (secret) => ({ id: id(secret), ...described(secret) }),
    deleted: (secret) => ({ ...deletion(secret), id: id(secret), ...described(secret) }),
    listedDeleted: (secret) => ({ ...deletion(secret), id: baseId(secret.name), ...described(secret) }),
  };
}
