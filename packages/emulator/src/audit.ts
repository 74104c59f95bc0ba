import type { FaultEffect, Operation } from './faults.ts';

/** One call of the vault: who did what to which secret, and how it ended. Never a value. */
export interface AuditEntry {
  /** By the emulator's clock, ISO 8601. */
  readonly time: string;
  readonly vault: string;
  /** The caller's object id; absent when the call carried no valid token. */
  readonly identity?: string;
  /** `unknown` when the call was refused before it was clear what it wanted. */
  readonly action: Operation | 'unknown';
  /** Absent for lists, and for names that no secret can have. */
  readonly secret?: string;
  readonly version?: string;
  /** The HTTP status, of a lost response too; 0 when a fault left the call without effect and without an answer. */
  readonly status: number;
  /** The fault that was injected into this call. */
  readonly fault?: FaultEffect['kind'];
  /** The `x-ms-request-id` of the answer. */
  readonly requestId: string;
}

/** What is learnt about a call while it is served. */
export interface CallRecord {
  readonly requestId: string;
  identity?: string;
  action?: Operation;
  secret?: string;
  version?: string;
  fault?: FaultEffect['kind'];
  /** Set when the client got no answer: the status it would have got, or 0 when nothing took effect. */
  lostStatus?: number;
}

export function auditEntry(
  call: CallRecord,
  facts: { readonly time: Date; readonly vault: string; readonly status: number },
): AuditEntry {
  const { lostStatus, action = 'unknown', ...known } = call;
  return {
    time: facts.time.toISOString(),
    vault: facts.vault,
    action,
    ...known,
    status: lostStatus ?? facts.status,
  };
}
