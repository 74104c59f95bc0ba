import type { CredentialRef, Inspection, RotationId } from '@keyturn/source';
import type { Instance } from '../fleet/fleet.ts';
import type { Looked } from '../looked.ts';
import type { VaultVersion } from '../vault.ts';
import type { Other } from './idle-slot.ts';
import type { StartFacts } from './may-start.ts';
import type { SecretPolicy } from './secret-policy.ts';

/** The rotation that a request made now would be about. */
export interface PlannedRotation {
  readonly id: RotationId;
  readonly from: string;
  /** `start`: a new one; `join`: a rotator is at it; `resume`: it was begun and nobody is at it. */
  readonly as: 'start' | 'join' | 'resume';
}

/** A rotation that a journal holds and that has not ended. */
export interface OpenRotation {
  readonly id: RotationId;
  /** True if a rotator that lives is at it. */
  readonly attended: boolean;
}

/** All that can be known of a rotation without changing anything. */
export interface PlanFacts {
  readonly policy: SecretPolicy;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly current: Looked<VaultVersion>;
  readonly versions: Looked<readonly VaultVersion[]>;
  /** Whether the vault would let a version be updated. */
  readonly update: Looked<'allowed'>;
  /** What the journal says; the vault alone can't know of one that has not published yet. */
  readonly open: Looked<OpenRotation | undefined>;
  readonly rotation: Looked<PlannedRotation>;
  readonly start: Looked<StartFacts>;
  /** The credential that would be replaced. */
  readonly ref: Looked<CredentialRef>;
  /** What else lives at the source. */
  readonly others: Looked<readonly Other[]>;
  /** Absent where the source has nothing to tell. */
  readonly inspection?: Looked<Inspection>;
  readonly instances: Looked<readonly Instance[]>;
}

/** What one check says of a rotation that has not begun. Only `stop` keeps it from beginning. */
export interface PlanFinding {
  readonly check: string;
  readonly mark: 'ok' | 'warn' | 'stop' | 'not checked';
  readonly says: string;
  readonly hint?: string;
}

/** A finding without the name of its check. */
export type Said = Omit<PlanFinding, 'check'>;
export type PlanCheck = (facts: PlanFacts) => readonly Said[];
