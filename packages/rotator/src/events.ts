import type { RotationId } from '@keyturn/source';
import type { Instance } from './fleet/fleet.ts';
import type { GivenOrder, Request } from './order.ts';
import type { Verdict } from './policy/converged.ts';
import type { Outcome } from './rotation.ts';

/**
 * The phases of the protocol, in their order; `roll back` takes the place of what follows `publish`. `approve` comes
 * where the policy asks for a second person.
 */
export type Phase =
  | 'approve'
  | 'preflight'
  | 'issue'
  | 'prove'
  | 'publish'
  | 'announce'
  | 'converge'
  | 'verify'
  | 'roll back'
  | 'revoke'
  | 'close';

/** What the rotator tells whoever watches. No event ever holds a value. */
export type RotationEvent =
  | { readonly kind: 'phase'; readonly phase: Phase }
  | {
      readonly kind: 'standing';
      readonly version: string;
      readonly leaving: string;
      readonly converged: boolean;
      readonly verdicts: readonly Verdict[];
      readonly instances: readonly Instance[];
      /** Sessions that the source still sees on the credential that is leaving; absent where it can't tell. */
      readonly oldSessions?: readonly string[];
    }
  | {
      readonly kind: 'retrying';
      readonly phase: Phase;
      readonly message: string;
      readonly hint?: string;
      readonly nextInMs: number;
    }
  /** The deadline has passed without convergence: the old credential keeps working. */
  | { readonly kind: 'held'; readonly stragglers: readonly string[] }
  | { readonly kind: 'rejected'; readonly reason: string }
  /** It waits for somebody else than who asked for it. */
  | { readonly kind: 'awaiting approval'; readonly request: Request }
  /** The credential is in the wrong hands: what ending it at once is going to break, by name. */
  | { readonly kind: 'emergency'; readonly breaks: readonly string[] }
  | { readonly kind: 'order'; readonly given: GivenOrder }
  /** Not about a rotation but about the lack of one: a current version has expired. */
  | { readonly kind: 'alarm'; readonly reason: string }
  | { readonly kind: 'requested'; readonly request: Request }
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  /** It stopped for good; the rotation stays open, and the next request goes on from there. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly hint?: string };

export type ReportEvent = (event: RotationEvent) => void;

/** An event with the rotation and the time (ISO 8601) it belongs to: one line of `keyturn rotate --json`. */
export type RotationRecord = RotationEvent & { readonly rotation: RotationId; readonly at: string };
