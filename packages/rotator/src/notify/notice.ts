import type { RotationId } from '@keyturn/source';
import type { RotationRecord } from '../events.ts';
import type { Outcome } from '../rotation.ts';
import type { PlainError } from '../telemetry/plain-error.ts';

/** What can be told: the runbook's own records, and what whoever runs it knows besides. `at` is ISO 8601. */
export type Notice =
  | RotationRecord
  | { readonly kind: 'ended'; readonly at: string; readonly outcome: Outcome }
  | {
      readonly kind: 'failed';
      readonly at: string;
      readonly rotation: RotationId;
      readonly failure: PlainError;
    }
  | {
      readonly kind: 'approval wanted';
      readonly at: string;
      readonly rotation: RotationId;
      readonly requestedBy: string;
      readonly why?: string;
    }
  /** The vault says that the current version has expired and no rotation of it has closed. */
  | { readonly kind: 'expired'; readonly at: string; readonly secret: string; readonly version: string };
