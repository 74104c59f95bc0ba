import type { CredentialRef, RotationId, Source } from '@keyturn/source';
import type { Clock } from './clock.ts';
import type { ReportEvent } from './events.ts';
import type { Fleet } from './fleet/fleet.ts';
import type { GivenOrder, Request } from './order.ts';
import type { SecretPolicy } from './policy/secret-policy.ts';
import type { Vault } from './vault.ts';

/** One run of the runbook: what it replaces, and all that it may touch. */
export interface Rotation {
  readonly id: RotationId;
  readonly secret: string;
  /** The vault version that this rotation replaces. */
  readonly from: string;
  readonly policy: SecretPolicy;
  /** Who asked for it; absent where nobody was noted. */
  readonly request?: Request;
  readonly source: Source;
  readonly vault: Vault;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly report: ReportEvent;
  /** Other rotations of this secret that are under way now. */
  readonly others: () => Promise<readonly RotationId[]>;
  /** Names this process. A step that was begun by another one may have left a request under way. */
  readonly incarnation: string;
  /** Grows when an operator says something, to whichever rotation: a reason to listen. */
  readonly attention?: () => number;
}

/** A version in the vault and the credential at the source that it holds. */
export type Published = {
  readonly version: string;
  readonly ref: CredentialRef;
  /** Milliseconds since 1970 by the vault's clock, rounded up to the second that the vault counts in. */
  readonly publishedAt: number;
  /** True if it is the old value, made current again: from there, no way leads back. */
  readonly rolledBack?: true;
};

/** How a rotation ended. `notChecked` names what could not be seen, so that nobody takes it for proven. */
export type Outcome = {
  readonly id: RotationId;
  readonly secret: string;
  readonly outcome: 'closed' | 'rolled back';
  /** The version that applications use now. */
  readonly version: string;
  /** The version whose credential was ended. */
  readonly revokedVersion: string;
  readonly oldCredentialRefused: true;
  /** From the publishing of the new version to the end of the old credential, milliseconds. */
  readonly overlapMs: number;
  /** From the publishing of the new version to convergence, milliseconds. */
  readonly convergedMs: number;
  readonly notChecked: readonly string[];
  /** The operator who ended the waiting before everything had converged. */
  readonly proceeded?: GivenOrder;
};

/** `orders-db@1f3c…`: a rotation is named by what it replaces, so that a repeated request is the same rotation. */
export function rotationId(secret: string, from: string): RotationId {
  return `${secret}@${from}`;
}

/** The version that a rotation replaces, out of its id. */
export function replacedVersion(id: RotationId): string {
  return id.slice(id.lastIndexOf('@') + 1);
}
