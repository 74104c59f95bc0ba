import { endsRotation, isForPeople, type EventKind } from './event-kinds.ts';
import type { Facts } from './facts.ts';

/** Remembers what was told, so that what lasts is told again after 1, 4 and 24 hours and then daily, not at every look. */
export interface Repeats {
  /** How to tell it now; undefined if it was told and no reminder is due. */
  due(facts: Facts, now: number): Due | undefined;
}

export interface Due {
  readonly rollingBack: boolean;
  /** 0 when it is told first, then 1, 2, … */
  readonly reminder: number;
  /** True if people were told of trouble in this rotation before. */
  readonly alarmed: boolean;
}

interface Rotating {
  alarmed: boolean;
  rollingBack: boolean;
  readonly told: Map<string, { readonly firstAt: number; readonly times: number }>;
}

const hourMs = 3_600_000;
const lasting = new Set<EventKind>([
  'held',
  'straggler',
  'retrying',
  'failed',
  'approvalWanted',
  'expired',
  'drifted',
]);
/** These are told of a rotation once, on whichever way it is. */
const onBothWays = new Set<EventKind>(['rejected', 'closed', 'rolledBack', 'expired', 'drifted']);

/** `most`: how many rotations are remembered. Of the one that was heard of least lately, all may be told again. */
export function openRepeats(most = 20_000): Repeats {
  const rotations = new Map<string, Rotating>();

  function remembered({ data }: Facts): Rotating {
    const key = `${data.secret}@${data.from}`;
    const found = rotations.get(key) ?? { alarmed: false, rollingBack: false, told: new Map() };
    rotations.delete(key);
    rotations.set(key, found);
    const [oldest] = rotations.keys();
    if (rotations.size > most && oldest !== undefined) rotations.delete(oldest);
    return found;
  }

  return {
    due(facts, now) {
      const { kind, detail } = facts;
      const rotating = remembered(facts);
      if (kind === 'rejected') rotating.rollingBack = true;
      const rollingBack = rotating.rollingBack && !onBothWays.has(kind);
      const key = JSON.stringify([kind, detail, rollingBack]);
      const { firstAt, times } = rotating.told.get(key) ?? { firstAt: now, times: 0 };
      if (times > 0 && (!lasting.has(kind) || now < firstAt + afterMs(times))) return undefined;
      const reminder = latest(times, now - firstAt);
      const { alarmed } = rotating;
      rotating.alarmed = !endsRotation(kind) && (alarmed || isForPeople(kind));
      if (endsRotation(kind)) rotating.told.clear();
      rotating.told.set(key, { firstAt, times: reminder + 1 });
      return { rollingBack, reminder, alarmed };
    },
  };
}

/** When the n-th reminder is due, counted from the first telling. */
function afterMs(reminder: number): number {
  return ([0, 1, 4, 24][reminder] ?? 24 * (reminder - 2)) * hourMs;
}

/** Reminders that were missed are not made up for. */
function latest(reminder: number, passedMs: number): number {
  return afterMs(reminder + 1) <= passedMs ? latest(reminder + 1, passedMs) : reminder;
}
