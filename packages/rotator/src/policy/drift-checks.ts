import { replacedVersion } from '../rotation.ts';
import { leavingRefs, refusedRefs, unaccounted } from './accounted-for.ts';
import type { DriftCheckName, DriftFacts, DriftFinding } from './drift-facts.ts';
import { mayEnd, whoIssued, whoUses } from './may-end.ts';

type Found = Omit<DriftFinding, 'check'>;
type DriftCheck = (facts: DriftFacts) => readonly Found[];

/** Every check by its name. */
export const driftChecks: Readonly<Record<DriftCheckName, DriftCheck>> = {
  orphan: orphans,
  revived,
  'set by hand': setByHand,
  'current refused': currentRefused,
  'slot changed': slotChanged,
  'superseded enabled': supersededEnabled,
};

export function judgeDrift(facts: DriftFacts): readonly DriftFinding[] {
  return (Object.keys(driftChecks) as DriftCheckName[]).flatMap((check) =>
    driftChecks[check](facts).map((found) => ({ check, ...found })),
  );
}

/** Credentials at the source that no enabled version, slot or open rotation accounts for. */
function orphans(facts: DriftFacts): readonly Found[] {
  return unaccounted(facts).map((one) => ({
    ref: one.ref,
    issuedBy: one.issuedBy ?? 'unknown',
    endable: mayEnd(facts, one),
    says: `${one.ref} lives at the source, and no version or open rotation accounts for it${unless(facts)}; ${whoIssued(one)}; ${whoUses(facts, one)}`,
    hint: 'End it with --clean if Keyturn issued it; else find out whose it is, and end it at the source or tag the version that holds it.',
  }));
}

function unless({ untagged }: DriftFacts): string {
  return untagged.length === 0
    ? ''
    : `, unless it is what version ${untagged.join(' or ')} holds, which has no tag that says so`;
}

/** Credentials that were seen to be refused when their rotation closed, and that live again. */
function revived(facts: DriftFacts): readonly Found[] {
  const ended = refusedRefs(facts);
  return facts.live
    .filter(({ ref }) => ended.has(ref))
    .map((one) => ({
      ref: one.ref,
      issuedBy: one.issuedBy ?? 'unknown',
      endable: mayEnd(facts, one),
      says: `${one.ref} was refused when its rotation closed, and lives again; ${whoIssued(one)}; ${whoUses(facts, one)}`,
      hint: 'Somebody gave it back, or the source forgot that it was ended: end it there.',
    }));
}

/** Versions that did not come from Keyturn, though it had rotated this secret before. */
function setByHand({ versions, current }: DriftFacts): readonly Found[] {
  const byRotation = versions.filter(({ tags }) => tags.rotation !== undefined);
  if (byRotation.length === 0) return [];
  const lastAt = Math.max(...byRotation.map(({ createdAt }) => createdAt));
  const replaced = new Set(byRotation.map(({ tags }) => replacedVersion(tags.rotation ?? '')));
  return versions
    .filter(({ version, enabled, createdAt, tags }) => {
      // Key Vault counts in seconds: what a rotation replaced came before it, also within one.
      const since = createdAt >= lastAt && !replaced.has(version);
      return enabled && since && tags.rotation === undefined;
    })
    .map(({ version }) => ({
      version,
      says: `version ${version} was set by hand since the last rotation${version === current.version ? ', and is current' : ''}`,
      hint: 'Rotate, so that its value is replaced and ended; or disable it if nobody uses it.',
    }));
}

function currentRefused({ current, currentAuthenticates, live }: DriftFacts): readonly Found[] {
  if (currentAuthenticates) return [];
  const { credential } = current.tags;
  const isThere = credential !== undefined && live.some(({ ref }) => ref === credential);
  return [
    {
      version: current.version,
      says: `the current version ${current.version} is refused by the source${isThere ? `, though ${credential} is there: somebody set it another value` : ''}`,
      hint: 'Set a value that works as the newest version, then rotate.',
    },
  ];
}

/** What the current version says that it holds is gone. */
function slotChanged({ current, live }: DriftFacts): readonly Found[] {
  const { credential } = current.tags;
  if (credential === undefined || live.some(({ ref }) => ref === credential)) return [];
  return [
    {
      version: current.version,
      ref: credential,
      says: `the current version ${current.version} holds ${credential}, which is not at the source (${live.map(({ ref }) => ref).join(', ') || 'nothing'} is)`,
      hint: 'Its slot was changed behind its back. If the value still works, set the tag keyturn-credential to what it holds; else set a value that works.',
    },
  ];
}

/** Versions that somebody can still read although their credential is gone. */
function supersededEnabled(facts: DriftFacts): readonly Found[] {
  const { versions, current, live, open } = facts;
  if (open === 'unknown') return [];
  const leaving = leavingRefs(facts);
  return versions
    .filter(({ version, enabled, tags: { credential, refusedAt } }) => {
      const isGone = credential !== undefined && !live.some(({ ref }) => ref === credential);
      const isBeingEnded = credential !== undefined && leaving.has(credential) && refusedAt === undefined;
      return version !== current.version && enabled && !isBeingEnded && (isGone || refusedAt !== undefined);
    })
    .map(({ version, tags }) => ({
      version,
      ...(tags.credential === undefined ? {} : { ref: tags.credential }),
      says: `version ${version} is enabled, and its credential ${tags.credential ?? ''} was ended`,
      hint: 'Disable that version: whoever reads it is refused.',
    }));
}
