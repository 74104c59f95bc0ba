import type { RotationId } from '@keyturn/source';
import type { RotationRecord } from '../events.ts';
import { replacedVersion, type Outcome } from '../rotation.ts';
import type { PlainError } from '../telemetry/plain-error.ts';

/** What can be told: the runbook's own records, and what whoever runs it knows besides. `at` is ISO 8601. */
export type Notice =
  | ProgressRecord
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
  | { readonly kind: 'expired'; readonly at: string; readonly secret: string; readonly version: string }
  /** Something is not as the last rotation left it; `version` is the current one. */
  | {
      readonly kind: 'drifted';
      readonly at: string;
      readonly secret: string;
      readonly version: string;
      /** What was found, in plain words. */
      readonly findings: readonly string[];
    };

/** How a rotation goes on. */
export type ProgressRecord = Extract<
  RotationRecord,
  { readonly kind: 'phase' | 'standing' | 'retrying' | 'held' | 'rejected' }
>;

/** What there is to be told of a record; undefined if people did it themselves and know. */
export function noticeOf(record: RotationRecord): Notice | undefined {
  const { rotation, at } = record;
  switch (record.kind) {
    case 'ended':
      return { kind: 'ended', at, outcome: record.outcome };
    case 'failed': {
      const { code, message, hint } = record;
      return { kind: 'failed', at, rotation, failure: { code, message, ...(hint ? { hint } : {}) } };
    }
    case 'awaiting approval': {
      const { who, why } = record.request;
      return { kind: 'approval wanted', at, rotation, requestedBy: who, why };
    }
    case 'alarm': {
      const version = replacedVersion(rotation);
      return { kind: 'expired', at, secret: rotation.slice(0, -version.length - 1), version };
    }
    case 'requested':
    case 'order':
    case 'emergency':
      return undefined;
    default:
      return record;
  }
}
