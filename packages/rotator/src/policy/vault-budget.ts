import type { SecretPolicy } from './secret-policy.ts';
import { overlapMs } from './overlap.ts';

/** What Key Vault lets all clients of a vault do in ten seconds together. */
export const vaultLimits = { withinMs: 10_000, creates: 300, others: 4_000 } as const;

/** How many requests to the vault a rotation costs, counted high. */
export interface VaultBudget {
  /** Versions that are set; each counts against `creates`. */
  readonly creates: number;
  /** The rotator's other requests, over the whole rotation. */
  readonly others: number;
  /** What the instances read when they hear of the new version: one each, all at about the same time. */
  readonly reads: number;
  /** Over how long these reads have to be spread to stay within the limit, milliseconds. */
  readonly spreadMs: number;
}

const versionsOnAPage = 25;
/** While it waits, a rotation looks once a minute whether somebody else has published. */
const lookEveryMs = 60_000;

/** `instances`: how many read the secret; `versions`: how many the secret has, because each list is one request a page. */
export function vaultBudget(
  policy: SecretPolicy,
  { instances, versions }: { readonly instances: number; readonly versions: number },
): VaultBudget {
  const pages = Math.max(1, Math.ceil((versions + 1) / versionsOnAPage));
  const looks = Math.ceil(overlapMs(policy) / lookEveryMs) + 1;
  const sourceLogins = fixed.sourceCalls + Math.ceil(overlapMs(policy) / policy.pollMs);
  const others = fixed.singles + fixed.lists * pages + looks * (1 + 2 * pages) + sourceLogins;
  // The rotator's own are few beside these; they are left their room.
  const room = Math.max(1, vaultLimits.others - others);
  return {
    creates: 1,
    others,
    reads: instances,
    spreadMs: instances > room ? Math.ceil(instances / room) * vaultLimits.withinMs : 0,
  };
}

/**
 * From the request to the end, without the waiting: reads and updates of one version, lists of all, and calls of the
 * source, for each of which its own login may be read from the vault.
 */
const fixed = { singles: 14, lists: 10, sourceCalls: 12 } as const;
