import type { CredentialRef } from '@keyturn/source';
import type { DriftFacts, LiveCredential } from './drift-facts.ts';

/**
 * The credentials that somebody answers for: an enabled version holds them, or the open rotation is at them. One
 * that was seen to be refused and lives again is nobody's.
 */
export function accountedFor(facts: DriftFacts): ReadonlySet<CredentialRef> {
  const { versions, open } = facts;
  const isOpens = ({ version, tags }: DriftFacts['versions'][number]) =>
    open !== undefined && open !== 'unknown' && (version === open.from || tags.rotation === open.id);
  const holders = versions.filter((one) => one.tags.refusedAt === undefined && (one.enabled || isOpens(one)));
  return new Set(holders.flatMap(({ tags }) => tags.credential ?? []));
}

/** What a rotation is ending: its versions may still be enabled when the credential has gone already. */
export function leavingRefs({ open, versions, current }: DriftFacts): ReadonlySet<CredentialRef> {
  if (open === undefined || open === 'unknown') return new Set();
  const touched = versions.filter(({ version, tags }) => version === open.from || tags.rotation === open.id);
  const refs = touched.flatMap(({ tags }) => tags.credential ?? []);
  return new Set(refs.filter((ref) => ref !== current.tags.credential));
}

/**
 * The credentials that nobody answers for. While a rotation is open that has published nothing, what it issued can't
 * be told from an orphan; and each version that logs in and doesn't say with what may hold one that is left, sooner
 * one that people made than one that a rotation issued.
 */
export function unaccounted(facts: DriftFacts): readonly LiveCredential[] {
  const { open, versions, live, untagged } = facts;
  if (open === 'unknown') return [];
  if (open !== undefined && !versions.some(({ tags }) => tags.rotation === open.id)) return [];
  const known = accountedFor(facts);
  const ended = refusedRefs(facts);
  const left = live.filter(({ ref }) => !known.has(ref) && !ended.has(ref));
  if (left.length <= untagged.length) return [];
  const peoples = left.filter(({ issuedBy }) => issuedBy === undefined);
  return peoples.length <= untagged.length ? left.filter((one) => !peoples.includes(one)) : left;
}

/** Credentials that were seen to be refused. */
export function refusedRefs({ versions }: DriftFacts): ReadonlySet<CredentialRef> {
  const refused = versions.filter(({ tags }) => tags.refusedAt !== undefined);
  return new Set(refused.flatMap(({ tags }) => tags.credential ?? []));
}
