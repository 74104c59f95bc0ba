import type { RotationId } from '@keyturn/source';
import { replacedVersion, type Outcome } from '../rotation.ts';
import type { EventKind } from './event-kinds.ts';
import type { Notice, ProgressRecord } from './notice.ts';
import { plainText } from './plain-text.ts';

/** The plain facts of one event; no field of it ever holds a value. */
export type EventData = {
  readonly secret: string;
  /** The version that the rotation replaces, or the one that has expired or drifted. */
  readonly from: string;
  readonly rotation?: RotationId;
  readonly phase?: string;
  /** The version that everyone is to use. */
  readonly version?: string;
  readonly revokedVersion?: string;
  /** Who keeps the overlap window open: the first 20 by name, and how many there are. */
  readonly stragglers?: readonly string[];
  readonly stragglerCount?: number;
  readonly reason?: string;
  readonly code?: string;
  readonly hint?: string;
  readonly nextInSeconds?: number;
  readonly overlapSeconds?: number;
  readonly oldCredentialRefused?: true;
  readonly notChecked?: readonly string[];
  readonly requestedBy?: string;
};

export interface Facts {
  readonly kind: EventKind;
  /** ISO 8601. */
  readonly at: string;
  /** Tells apart what happens more than once in a rotation under one kind; empty if nothing does. */
  readonly detail: string;
  readonly data: EventData;
}

const namedStragglers = 20;
const longestText = 1_000;

/** What there is to tell of a notice; undefined if nobody needs to hear of it. Each field is taken by name. */
export function factsOf(notice: Notice): Facts | undefined {
  const { at } = notice;
  switch (notice.kind) {
    case 'ended':
      return { ...endOf(notice.outcome), at };
    case 'expired': {
      const { secret, version } = notice;
      return { kind: 'expired', at, detail: version, data: { secret, from: version } };
    }
    case 'drifted': {
      const { secret, version, findings } = notice;
      const reason = plainText(findings.join('; '), longestText);
      const hint = plainText(`keyturn drift ${secret}`, longestText);
      return { kind: 'drifted', at, detail: reason, data: { secret, from: version, reason, hint } };
    }
    case 'failed': {
      const { code, message, hint } = notice.failure;
      const reason = plainText(message, longestText);
      return about(notice, 'failed', {
        code,
        reason,
        ...(hint && { hint: plainText(hint, longestText) }),
      });
    }
    case 'approval wanted': {
      const { why } = notice;
      return about(notice, 'approvalWanted', {
        requestedBy: plainText(notice.requestedBy),
        ...(why && { reason: plainText(why, longestText) }),
      });
    }
    default:
      return factsOfRecord(notice);
  }
}

function factsOfRecord(record: ProgressRecord): Facts | undefined {
  switch (record.kind) {
    case 'phase': {
      const { phase } = record;
      if (phase === 'preflight') return about(record, 'started', {});
      // How it ended is said by the outcome.
      return phase === 'close' ? undefined : about(record, 'phase', { phase }, phase);
    }
    case 'standing':
      return factsOfStanding(record);
    case 'retrying': {
      const { phase, message, nextInMs } = record;
      const reason = plainText(message, longestText);
      return about(record, 'retrying', { phase, reason, nextInSeconds: nextInMs / 1_000 }, phase);
    }
    case 'held':
      return about(record, 'held', naming(record.stragglers));
    case 'rejected':
      return about(record, 'rejected', { reason: plainText(record.reason, longestText) });
  }
}

/** Right after publication everybody is behind: straggler is who still is when the shortest safe time has passed. */
function factsOfStanding(record: ProgressRecord & { kind: 'standing' }): Facts | undefined {
  const { version, converged, verdicts } = record;
  if (converged) return about(record, 'converged', { version }, version);
  const safeTimeHasPassed = verdicts.some(({ check, passed }) => check === 'clock' && passed === true);
  if (!safeTimeHasPassed) return undefined;
  const stragglers = verdicts.flatMap((verdict) => verdict.stragglers);
  return about(record, 'straggler', { version, ...naming(stragglers) }, version);
}

function endOf({ id, version, revokedVersion, overlapMs, notChecked, outcome }: Outcome): Omit<Facts, 'at'> {
  return {
    kind: outcome === 'closed' ? 'closed' : 'rolledBack',
    detail: '',
    data: {
      ...rotating(id),
      version,
      revokedVersion,
      overlapSeconds: overlapMs / 1_000,
      oldCredentialRefused: true,
      notChecked: notChecked.map((what) => plainText(what, longestText)),
    },
  };
}

function about(
  { rotation, at }: { readonly rotation: RotationId; readonly at: string },
  kind: EventKind,
  data: Omit<EventData, 'secret' | 'from' | 'rotation'>,
  detail = '',
): Facts {
  return { kind, at, detail, data: { ...rotating(rotation), ...data } };
}

function rotating(rotation: RotationId): { rotation: RotationId; secret: string; from: string } {
  return {
    rotation,
    secret: rotation.slice(0, rotation.lastIndexOf('@')),
    from: replacedVersion(rotation),
  };
}

function naming(stragglers: readonly string[]): Pick<EventData, 'stragglers' | 'stragglerCount'> {
  return {
    stragglers: stragglers.slice(0, namedStragglers).map((name) => plainText(name)),
    stragglerCount: stragglers.length,
  };
}
