import type { ProgressRecord } from '../src/notify/notice.ts';
import type { Outcome } from '../src/rotation.ts';
import type { Verdict } from '../src/policy/converged.ts';

export const vault = 'https://orders.vault.azure.net';
export const rotation = 'orders-db@v1';
export const at = '2026-01-01T00:00:00.000Z';

export const started: ProgressRecord = { kind: 'phase', phase: 'preflight', rotation, at };
export const held: ProgressRecord & { kind: 'held' } = {
  kind: 'held',
  stragglers: ['orders/web-1'],
  rotation,
  at,
};
export const rejected: ProgressRecord & { kind: 'rejected' } = {
  kind: 'rejected',
  reason: 'the source refuses it',
  rotation,
  at,
};

export const outcome: Outcome = {
  id: rotation,
  secret: 'orders-db',
  outcome: 'closed',
  version: 'v2',
  revokedVersion: 'v1',
  oldCredentialRefused: true,
  overlapMs: 61_500,
  convergedMs: 60_000,
  notChecked: [],
};

/** A look at the standing: `waiting` seconds of the shortest safe time are left. */
export function standing(stragglers: readonly string[], waitingSeconds = 0): ProgressRecord {
  const verdicts: readonly Verdict[] = [
    { check: 'clock', passed: waitingSeconds === 0, why: `${waitingSeconds} s left`, stragglers: [] },
    { check: 'adoption', passed: stragglers.length === 0, why: 'some have adopted it', stragglers },
  ];
  const converged = verdicts.every(({ passed }) => passed === true);
  return {
    kind: 'standing',
    version: 'v2',
    leaving: 'role-a',
    converged,
    verdicts,
    instances: [],
    rotation,
    at,
  };
}
