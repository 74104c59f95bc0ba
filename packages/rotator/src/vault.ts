import type { CredentialRef, RotationId, SecretValue } from '@keyturn/source';
import { RotatorError } from './rotator-error.ts';

/** What Keyturn writes on a version, under the names in `versionTags`. */
export interface VersionTags {
  /** The rotation that published it. */
  readonly rotation?: RotationId;
  /** The credential that it holds. */
  readonly credential?: CredentialRef;
  /** True if it is an old value, made current again. */
  readonly rolledBack?: boolean;
  /** When its credential was seen to be refused, milliseconds since 1970. */
  readonly refusedAt?: number;
}

/** How the tags are called in the vault. */
export const versionTags = {
  rotation: 'keyturn-rotation',
  credential: 'keyturn-credential',
  rolledBack: 'keyturn-rolled-back',
  refusedAt: 'keyturn-refused-at',
} as const satisfies Record<keyof VersionTags, string>;

export interface VaultVersion {
  readonly version: string;
  readonly enabled: boolean;
  /** Milliseconds since 1970 by the vault's clock, cut off to whole seconds. */
  readonly createdAt: number;
  /** The same; absent if it never expires. */
  readonly expiresAt?: number;
  readonly tags: VersionTags;
  /** How many other tags it bears: people's own. */
  readonly peoplesTags: number;
}

/** Key Vault allows 15 tags on a version, and Keyturn writes up to one of each kind. */
export const mostPeoplesTags = 15 - Object.keys(versionTags).length;

/** The port to Key Vault. Every method throws a `RotatorError` with a `VAULT_…` code; none holds a value. */
export interface Vault {
  /** Names the vault: what is open in one is never taken for what is open in another. */
  readonly url: string;
  /** The newest version, with its value. Its being disabled is an error, never "absent". */
  current(secret: string): Promise<VaultVersion & { readonly value: SecretValue }>;
  /** Every version, newest first, without values. */
  versions(secret: string): Promise<readonly VaultVersion[]>;
  /** The value of one version. */
  read(secret: string, version: string): Promise<SecretValue>;
  /** Sets a new, enabled version; tags and content type that people put on the former current one are kept. */
  publish(
    secret: string,
    value: SecretValue,
    properties: { readonly expiresOn: Date; readonly tags: VersionTags },
  ): Promise<VaultVersion>;
  /** Adds tags to a version. */
  tag(secret: string, version: string, tags: VersionTags): Promise<void>;
  /** Disables a version and adds tags to it, in one request. */
  disable(secret: string, version: string, tags: VersionTags): Promise<void>;
}

/** True if a failed request may have been carried out all the same: its answer was lost, not negative. */
export function mayHaveTakenEffect(error: unknown): boolean {
  return error instanceof RotatorError && error.code === 'VAULT_UNREACHABLE';
}
