import type { RotationId } from '@keyturn/source';
import { mostPeoplesTags, type VaultVersion } from '../vault.ts';
import { overlapTooShort } from './overlap.ts';
import type { SecretPolicy } from './secret-policy.ts';

/** What preflight has found out before anything is changed. */
export interface StartFacts {
  readonly policy: SecretPolicy;
  readonly id: RotationId;
  /** The version that the rotation replaces. */
  readonly from: string;
  /** The vault's current version, and the rotation that published it if one did. */
  readonly current: {
    readonly version: string;
    readonly rotation?: string;
    readonly rolledBack?: boolean;
  };
  /** Other rotations of this secret that are under way. */
  readonly others: readonly RotationId[];
  /** Does the current value authenticate at the source? */
  readonly currentAuthenticates: boolean;
  /** Milliseconds since 1970 at which a version published now would expire. */
  readonly expiresAt: number;
  /** The most tags of people's own on a version that Keyturn is going to write on. */
  readonly peoplesTags: number;
}

/** Why a rotation may not start, and what to do about it. */
export interface Refusal {
  readonly reason: string;
  readonly hint: string;
}

type Check = (facts: StartFacts) => Refusal | undefined;

/** The facts as the vault and the source tell them. */
export function startFacts(at: {
  readonly policy: SecretPolicy;
  readonly requested: { readonly id: RotationId; readonly from: string };
  readonly current: VaultVersion;
  /** The version that the rotation replaces. */
  readonly replaced: VaultVersion;
  readonly others: readonly RotationId[];
  readonly currentAuthenticates: boolean;
  readonly now: number;
}): StartFacts {
  const { policy, requested, current, replaced, others, currentAuthenticates, now } = at;
  const { rotation, rolledBack } = current.tags;
  return {
    policy,
    id: requested.id,
    from: requested.from,
    current: {
      version: current.version,
      ...(rotation ? { rotation } : {}),
      ...(rolledBack ? { rolledBack: true } : {}),
    },
    others,
    currentAuthenticates,
    expiresAt: now + policy.validityMs,
    peoplesTags: Math.max(current.peoplesTags, replaced.peoplesTags),
  };
}

/** The first check that objects decides. */
export const startChecks: readonly Check[] = [
  isAlone,
  replacesTheCurrentVersion,
  currentValueWorks,
  overlapIsSafe,
  expiryFits,
  tagsFit,
];

export function mayStart(facts: StartFacts): Refusal | undefined {
  for (const check of startChecks) {
    const refusal = check(facts);
    if (refusal) return refusal;
  }
  return undefined;
}

/**
 * Two that were asked for in the same moment, with a version set in between, may both have begun: each sees the other,
 * and one of them at least stops here.
 */
export function isAlone({ others: [other] }: StartFacts): Refusal | undefined {
  if (other === undefined) return undefined;
  return {
    reason: `the rotation ${other} is under way`,
    hint: 'Nothing to do: ask again when it has ended.',
  };
}

/** A late or repeated request is about a version that is no longer current; it starts nothing. */
export function replacesTheCurrentVersion({ id, from, current }: StartFacts): Refusal | undefined {
  if (current.version === from || current.rotation === id) return undefined;
  return {
    reason: `version ${from} is no longer current (${current.version} is)`,
    hint: 'Nothing to do: the request is outdated.',
  };
}

/**
 * Rotating away from a value that does not work would hide that the applications are already down. An open
 * rotation whose own new value is refused has to go on, though: it is what takes that value back.
 */
export function currentValueWorks({ id, currentAuthenticates, current }: StartFacts): Refusal | undefined {
  if (currentAuthenticates || (current.rotation === id && !current.rolledBack)) return undefined;
  return {
    reason: `the current version ${current.version} is refused by the source`,
    hint: 'Set a value that works as the newest version, then rotate.',
  };
}

function overlapIsSafe({ policy }: StartFacts): Refusal | undefined {
  const reason = overlapTooShort(policy);
  return reason === undefined
    ? undefined
    : { reason, hint: 'Raise the overlap, or lower the TTL of that consumer.' };
}

/** The Key Vault SDK sends times through a 32-bit integer: later than this, the expiry would lie in the past. */
const lastExpiry = Date.UTC(2038, 0, 19);

export function expiryFits({ expiresAt }: StartFacts): Refusal | undefined {
  if (expiresAt < lastExpiry) return undefined;
  return {
    reason: 'the new version would expire after 2038-01-18, which the Key Vault SDK cannot express',
    hint: 'Lower the validity.',
  };
}

/** Else the rotation could not close: the mark that the old credential is gone would be one tag too many. */
export function tagsFit({ peoplesTags }: StartFacts): Refusal | undefined {
  if (peoplesTags <= mostPeoplesTags) return undefined;
  return {
    reason: `its version bears ${peoplesTags} tags of your own, and Key Vault leaves room for ${mostPeoplesTags} beside Keyturn's`,
    hint: `Remove ${peoplesTags - mostPeoplesTags} of these tags.`,
  };
}
