// What a vault knows about secrets, and what can be done with them.

import type { Backup } from './backup-blob.ts';

/** One version of a secret. Times are epoch seconds, as on the wire. */
export interface SecretVersion {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly value: string;
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly enabled: boolean;
  readonly notBefore?: number;
  readonly expires?: number;
  readonly created: number;
  readonly updated: number;
}

/** What a PATCH may change; what is absent stays as it is. */
export type SecretChanges = Partial<
  Pick<SecretVersion, 'contentType' | 'tags' | 'enabled' | 'notBefore' | 'expires'>
>;

/** A version together with the secret it belongs to, named as at its first set. */
export interface NamedVersion {
  readonly name: string;
  readonly version: SecretVersion;
}

/** A deleted secret, shown by what was its current version. */
export interface DeletedSecret extends NamedVersion {
  readonly deletedAt: number;
  readonly scheduledPurge: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page starts; absent on the last one. */
  readonly next?: string;
}

export interface PageRequest {
  readonly after?: string;
  readonly count: number;
}

/** The secrets of one vault. Every refusal is an `EmulatorError` with code `REQUEST_REFUSED`. */
export interface SecretStore {
  /** Makes a version, which is the current one from then on, even when it is disabled. */
  set(name: string, value: string, properties?: SecretChanges): NamedVersion;
  /** Without a version: the newest set. Expiry and not-before are informational and refuse nothing. */
  get(name: string, version?: string): NamedVersion;
  update(name: string, version: string | undefined, changes: SecretChanges): NamedVersion;
  list(page: PageRequest): Page<NamedVersion>;
  /** Sorted by version id, not by time. A name that doesn't exist has no versions. */
  listVersions(name: string, page: PageRequest): Page<NamedVersion>;
  /** Gets through after the delay of the vault: until then the secret is neither here nor among the deleted. */
  delete(name: string): DeletedSecret;
  getDeleted(name: string): DeletedSecret;
  listDeleted(page: PageRequest): Page<DeletedSecret>;
  /** Gets through after the delay of the vault, like a deletion. */
  recover(name: string): NamedVersion;
  purge(name: string): void;
  backup(name: string): Backup;
  /** Refused while there is a secret of that name, deleted ones included. */
  restore(backup: Backup): NamedVersion;
  /** Whether there is a secret of that name, deleted ones included. */
  has(name: string): boolean;
  /** The current version of every secret. */
  current(): Iterable<NamedVersion>;
}
