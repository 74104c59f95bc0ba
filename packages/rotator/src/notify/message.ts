import type { CloudEvent } from './cloud-event.ts';
import { eventKinds, type EventKind } from './event-kinds.ts';
import type { EventData } from './facts.ts';

/** An event in words, before Slack or Teams give it a shape. Its text is plain: whoever shapes it escapes it. */
export interface Message {
  readonly tone: 'good' | 'warning' | 'attention' | 'default';
  readonly title: string;
  readonly text: string;
  readonly facts: readonly (readonly [label: string, value: string])[];
}

type Wording = { readonly tone: Message['tone']; readonly title: string; readonly text: string };

const wordings: Record<EventKind, Wording> = {
  started: { tone: 'default', title: 'a rotation has started', text: 'Nothing is changed yet.' },
  phase: { tone: 'default', title: 'the rotation goes on', text: 'Its next phase has begun.' },
  straggler: {
    tone: 'warning',
    title: 'somebody keeps the overlap window open',
    text: 'The shortest safe time has passed and the old credential is still in use. It keeps working.',
  },
  converged: {
    tone: 'good',
    title: 'everyone uses the new version',
    text: 'The old credential can be revoked.',
  },
  retrying: {
    tone: 'warning',
    title: 'a phase is tried again',
    text: 'It failed for a reason that may pass by itself.',
  },
  held: {
    tone: 'warning',
    title: 'the rotation is held',
    text: 'The deadline has passed and the old credential is still in use. Both credentials work. The rotation goes on by itself when everyone uses the new version.',
  },
  rejected: {
    tone: 'attention',
    title: 'the new version is rejected',
    text: 'It is being taken back: the old value becomes current again.',
  },
  rolledBack: {
    tone: 'attention',
    title: 'the rotation was rolled back',
    text: 'Applications use the old value again, and the new credential is refused.',
  },
  closed: {
    tone: 'good',
    title: 'the rotation has closed',
    text: 'The old credential was seen to be refused.',
  },
  failed: {
    tone: 'attention',
    title: 'the rotation has failed',
    text: 'It stopped where it was, and a person has to see why.',
  },
  approvalWanted: {
    tone: 'warning',
    title: 'a rotation waits for approval',
    text: 'Somebody other than the requester has to approve it.',
  },
  drifted: {
    tone: 'warning',
    title: 'something is not as the last rotation left it',
    text: 'Somebody has changed the vault or the source by hand, or something was left behind. Nothing was done about it.',
  },
  expired: {
    tone: 'attention',
    title: 'the secret has expired',
    text: 'The current version has passed its expiry in the vault and was not replaced.',
  },
};

const kindOfType: ReadonlyMap<string, EventKind> = new Map(
  Object.entries(eventKinds).map(([kind, { type }]) => [type, kind as EventKind]),
);

/** Puts an event of ours into words. */
export function messageOf({ type, source, data }: CloudEvent): Message {
  const kind = kindOfType.get(type);
  if (kind === undefined) throw new TypeError(`${type} is no event of Keyturn.`);
  const { tone, title, text } = wordings[kind];
  const again = data.reminder === undefined ? '' : ` (reminder ${data.reminder})`;
  return {
    tone,
    title: `${data.secret}: ${title}${again}`,
    text,
    facts: [['Vault', source], ...factsIn(data)],
  };
}

function factsIn(data: EventData): [string, string][] {
  const candidates: [string, string | undefined][] = [
    ['Rotation', data.rotation],
    ['Phase', data.phase],
    ['Why', data.reason],
    ['What to do', data.hint],
    ['Keeping it open', stragglersIn(data)],
    ['Requested by', data.requestedBy],
    ['Current version', data.version],
    ['Revoked version', data.revokedVersion],
    ['Overlap window', data.overlapSeconds === undefined ? undefined : `${data.overlapSeconds} s`],
    ['Not checked', data.notChecked?.join('; ')],
  ];
  // Slack refuses an empty text.
  return candidates.filter((fact): fact is [string, string] => fact[1] !== undefined && fact[1] !== '');
}

function stragglersIn({ stragglers, stragglerCount = 0 }: EventData): string | undefined {
  if (!stragglers || stragglers.length === 0) return undefined;
  const more = stragglerCount - stragglers.length;
  return `${stragglers.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
