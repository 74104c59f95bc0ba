import type { RotationId } from '@keyturn/source';
import type { Phase, RotationRecord } from './events.ts';
import type { Instance } from './fleet/fleet.ts';
import type { Verdict } from './policy/converged.ts';
import type { By, GivenOrder, Order, Request } from './order.ts';
import type { Outcome } from './rotation.ts';

export { orders, type By, type GivenOrder, type Order, type Request } from './order.ts';

export type RotationState =
  | 'awaiting approval'
  | 'running'
  | 'held'
  | 'closed'
  | 'rolled back'
  | 'aborted'
  | 'failed';

/** One rotation as it stands, or as it ended. Times are ISO 8601. */
export interface RotationStatus {
  readonly id: RotationId;
  readonly secret: string;
  /** The version that it replaces. */
  readonly from: string;
  readonly state: RotationState;
  readonly phase?: Phase;
  /** The version that it published. */
  readonly version?: string;
  readonly requested: Request;
  readonly orders: readonly GivenOrder[];
  readonly updatedAt: string;
  readonly endedAt?: string;
  /** While it converges: what the checks say and who is seen. */
  readonly verdicts?: readonly Verdict[];
  readonly instances?: readonly Instance[];
  /** Who keeps the overlap window open, by name. */
  readonly stragglers: readonly string[];
  readonly outcome?: Outcome;
  readonly failure?: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** One configured secret. Times are ISO 8601. */
export interface SecretStatus {
  readonly secret: string;
  /** The kind of its source. */
  readonly source: string;
  /** The vault's current version; absent until it was seen. */
  readonly version?: string;
  readonly createdAt?: string;
  readonly expiresAt?: string;
  readonly dueAt?: string;
  readonly dueBecause?: string;
  /** The rotation that is open. */
  readonly open?: RotationStatus;
  /** The last one that ended. */
  readonly last?: RotationStatus;
  /** Why the last attempt didn't get anywhere, and when the next one comes. */
  readonly failure?: { readonly message: string; readonly hint?: string; readonly nextAttemptAt?: string };
}

/** What is going to break if the credential of a secret is ended at once. */
export interface Foreseen {
  readonly secret: string;
  /** One line each, by name; none if nothing is known to. */
  readonly breaks: readonly string[];
  /** What could not be looked at, and why. */
  readonly notChecked: readonly string[];
  /** The rotation that is open, which a request joins as it was asked for: it does not become an emergency. */
  readonly joins?: RotationId;
}

/**
 * What people and programs do with a running rotator: the port behind its API. Each throws a `RotatorError`:
 * `UNKNOWN_SECRET`, `UNKNOWN_ROTATION`, `NOT_OPEN` (the rotation has ended, or the order doesn't fit its state),
 * `NOT_ALLOWED` (who asked for a rotation may not approve it).
 */
export interface Operations {
  secrets(): Promise<readonly SecretStatus[]>;
  secret(name: string): Promise<SecretStatus>;
  /** What a rotation would break whose credential is in the wrong hands; nothing is changed. */
  foresee(name: string): Promise<Foreseen>;
  /** Newest first. */
  rotations(of: { readonly secret?: string; readonly limit: number }): Promise<readonly RotationStatus[]>;
  rotation(id: RotationId): Promise<RotationStatus>;
  /** Every event of a rotation that was kept, oldest first. */
  story(id: RotationId): Promise<readonly RotationRecord[]>;
  /** Starts a rotation, or joins the one that is open. */
  start(request: {
    readonly secret: string;
    readonly by: By;
    /** The credential is in the wrong hands: the overlap is as short as can be. */
    readonly compromised?: boolean;
  }): Promise<RotationStatus>;
  order(id: RotationId, order: Order, by: By): Promise<void>;
  approve(id: RotationId, by: By): Promise<void>;
  /** Calls back with every event of every rotation, whichever replica runs it. Returns the way out. */
  watch(listener: (record: RotationRecord) => void): () => void;
  /** What a load balancer asks; `problems` says in plain words what is away. */
  ready(): Promise<{ readonly ready: boolean; readonly problems: readonly string[] }>;
}
