/** Who ought to hear of it: a person who can do something, or only what keeps records. */
export type Audience = 'people' | 'machines';

/** Everything that Keyturn tells, by kind. The table in docs/notifications.md is checked against this one. */
export const eventKinds = {
  started: { type: 'keyturn.rotation.started', audience: 'machines' },
  phase: { type: 'keyturn.rotation.phase', audience: 'machines' },
  straggler: { type: 'keyturn.rotation.straggler', audience: 'machines' },
  converged: { type: 'keyturn.rotation.converged', audience: 'machines' },
  retrying: { type: 'keyturn.rotation.retrying', audience: 'machines' },
  held: { type: 'keyturn.rotation.held', audience: 'people' },
  rejected: { type: 'keyturn.rotation.rejected', audience: 'people' },
  rolledBack: { type: 'keyturn.rotation.rolled-back', audience: 'people' },
  closed: { type: 'keyturn.rotation.closed', audience: 'machines' },
  failed: { type: 'keyturn.rotation.failed', audience: 'people' },
  approvalWanted: { type: 'keyturn.rotation.approval-wanted', audience: 'people' },
  drifted: { type: 'keyturn.secret.drifted', audience: 'people' },
  expired: { type: 'keyturn.secret.expired', audience: 'people' },
} as const satisfies Record<string, { readonly type: string; readonly audience: Audience }>;

export type EventKind = keyof typeof eventKinds;

/** True if a person should be told, and not machines alone. Who was alarmed wants to hear of the good end as well. */
export function isForPeople(kind: EventKind, alarmed = false): boolean {
  return eventKinds[kind].audience === 'people' || (kind === 'closed' && alarmed);
}

/** True if nothing more comes of this rotation, so that what was told of it may be forgotten. */
export function endsRotation(kind: EventKind): boolean {
  return kind === 'closed' || kind === 'rolledBack';
}
