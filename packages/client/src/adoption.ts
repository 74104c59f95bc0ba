import type { Clock } from './clock.ts';
import { rememberVersion } from './recent-versions.ts';

/** What an instance tells the rotator about one secret. Versions only, never a value. */
export interface SecretAdoption {
  readonly secret: string;
  /** What a new login here would use now. */
  readonly version: string;
  /** Other versions that uses in flight or open connections still hold. */
  readonly held: readonly string[];
  /** The last fresh login with `version`, ISO 8601; absent if there was none yet. */
  readonly authenticatedAt?: string;
  /** The same of those that are held, by version. */
  readonly heldAuthenticatedAt: Readonly<Record<string, string>>;
  /** Refusals seen, by version. */
  readonly refused: Readonly<Record<string, number>>;
}

/** One adapter's login material: from before its first login with a version until its last connection is gone. */
export interface HeldVersion {
  readonly authenticated: () => void;
  readonly release: () => void;
}

/** Keeps account of which versions this instance uses, by evidence. */
export interface Adoption {
  /** A version counts as held from here until the returned function is called. */
  use(secret: string, version: string): () => void;
  hold(secret: string, version: string): HeldVersion;
  authenticated(secret: string, version: string): void;
  refused(secret: string, version: string): void;
  readonly report: () => readonly SecretAdoption[];
  /** Whether a pool or a use is still open. */
  readonly isInUse: () => boolean;
}

interface Account {
  readonly uses: Map<string, number>;
  /** In the order in which they began. */
  readonly holds: Set<{ readonly version: string; authenticated: boolean }>;
  readonly authenticatedAt: Map<string, number>;
  readonly refused: Map<string, number>;
  /** The version in the last report: only what differs from it is news. */
  reported: string | undefined;
}

export function openAdoption(at: {
  readonly clock: Clock;
  /** The names of the secrets that are loaded, with the version that is current here. */
  readonly current: () => Iterable<readonly [secret: string, version: string]>;
  readonly changed: () => void;
}): Adoption {
  const { clock, changed } = at;
  const accounts = new Map<string, Account>();

  function accountOf(secret: string): Account {
    const known = accounts.get(secret);
    if (known) return known;
    const account: Account = {
      uses: new Map(),
      holds: new Set(),
      authenticatedAt: new Map(),
      refused: new Map(),
      reported: undefined,
    };
    accounts.set(secret, account);
    return account;
  }

  function authenticated(secret: string, version: string): void {
    const { authenticatedAt } = accountOf(secret);
    const isFirst = !authenticatedAt.has(version);
    rememberVersion(authenticatedAt, version, clock.now());
    if (isFirst) changed();
  }

  return {
    authenticated,
    use(secret, version) {
      const account = accountOf(secret);
      const { uses } = account;
      const others = uses.get(version) ?? 0;
      uses.set(version, others + 1);
      if (others === 0 && version !== account.reported) changed();
      let done = false;
      return () => {
        if (done) return;
        done = true;
        const left = (uses.get(version) ?? 1) - 1;
        if (left > 0) uses.set(version, left);
        else uses.delete(version);
        if (left === 0 && version !== account.reported) changed();
      };
    },
    hold(secret, version) {
      const { holds } = accountOf(secret);
      const hold = { version, authenticated: false };
      holds.add(hold);
      changed();
      return {
        authenticated() {
          const isFirst = !hold.authenticated;
          hold.authenticated = true;
          authenticated(secret, version);
          if (isFirst) changed();
        },
        release() {
          if (holds.delete(hold)) changed();
        },
      };
    },
    refused(secret, version) {
      const { refused } = accountOf(secret);
      rememberVersion(refused, version, (refused.get(version) ?? 0) + 1);
      changed();
    },
    isInUse: () => [...accounts.values()].some(({ uses, holds }) => uses.size > 0 || holds.size > 0),
    report() {
      return [...at.current()].map(([secret, current]) => adoptionOf(secret, current, accountOf(secret)));
    },
  };
}

function adoptionOf(secret: string, current: string, account: Account): SecretAdoption {
  const version = versionOfNewLogins(current, [...account.holds]);
  account.reported = version;
  const open = new Set([...account.uses.keys(), ...[...account.holds].map((hold) => hold.version)]);
  open.delete(version);
  const times = [...account.authenticatedAt].map(([one, ms]) => [one, new Date(ms).toISOString()] as const);
  const authenticatedAt = times.find(([one]) => one === version)?.[1];
  return {
    secret,
    version,
    held: [...open],
    ...(authenticatedAt === undefined ? {} : { authenticatedAt }),
    heldAuthenticatedAt: Object.fromEntries(times.filter(([one]) => open.has(one))),
    refused: Object.fromEntries(account.refused),
  };
}

/**
 * An adapter logs in with what it has proven, not with what was fetched: its newest version that has
 * authenticated counts, and while none has, the oldest. Without an adapter it is the current version.
 */
function versionOfNewLogins(
  current: string,
  holds: readonly { readonly version: string; readonly authenticated: boolean }[],
): string {
  return (holds.findLast((hold) => hold.authenticated) ?? holds[0])?.version ?? current;
}
