import type { CredentialRef, RotationId, Usage } from '@keyturn/source';
import type { Instance } from '../fleet/fleet.ts';
import type { VaultVersion } from '../vault.ts';

/** A credential that lives at the source. */
export interface LiveCredential {
  readonly ref: CredentialRef;
  readonly usage: Usage;
  /** The rotation of this secret that issued it; absent where the source doesn't show that Keyturn did. */
  readonly issuedBy?: RotationId;
}

/** The secret as it stands: the vault, the source and the journal, looked at in one moment. */
export interface DriftFacts {
  readonly secret: string;
  readonly current: VaultVersion;
  readonly currentAuthenticates: boolean;
  readonly versions: readonly VaultVersion[];
  readonly live: readonly LiveCredential[];
  /** Enabled versions that don't say which credential they hold, and that log in or were not tried. */
  readonly untagged: readonly string[];
  /** The rotation that is open by the vault or by the journal; `unknown` where the journal doesn't answer. */
  readonly open: { readonly id: RotationId; readonly from: string } | undefined | 'unknown';
  readonly instances: readonly Instance[];
}

/** Something that is not as the last rotation left it. */
export interface DriftFinding {
  readonly check: DriftCheckName;
  readonly says: string;
  readonly hint: string;
  readonly version?: string;
  readonly ref?: CredentialRef;
  /** For a credential: the rotation that issued it, or `unknown`. */
  readonly issuedBy?: string;
  /** For a credential: may Keyturn end it by itself? If not, the first reason. */
  readonly endable?: true | { readonly no: string };
}

export type DriftCheckName =
  | 'orphan'
  | 'revived'
  | 'set by hand'
  | 'current refused'
  | 'slot changed'
  | 'superseded enabled';
