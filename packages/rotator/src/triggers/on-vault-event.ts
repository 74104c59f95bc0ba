import type { RotationId } from '@keyturn/source';
import type { VaultEvent } from './vault-event.ts';

/** What has to be known to judge an event: looked up when it is handled, not when it came. */
export interface VaultEventFacts {
  /** How long a version of this secret is meant to live; absent if the secret is not configured in that vault. */
  readonly validityMs?: number;
  /** The vault's current version. */
  readonly current: string;
  /** The rotation whose tag the version bears that the event is about. */
  readonly publishedBy?: RotationId;
  /** The rotation of this secret that is open. */
  readonly open?: RotationId;
  /** Why a start waits for a maintenance window; absent if it doesn't. */
  readonly waits?: string;
}

export interface Decision {
  readonly action: 'rotate' | 'defer' | 'announce' | 'alarm' | 'ignore';
  /** In plain words, for logs and people. */
  readonly reason: string;
}

type Rule = (event: VaultEvent, facts: VaultEventFacts) => Decision | undefined;

/** The first rule that has something to say decides. */
export const vaultEventRules: readonly Rule[] = [
  notConfigured,
  outdated,
  expired,
  newVersion,
  shortLived,
  alreadyOpen,
  outsideWindow,
];

/**
 * What follows from an event. Events come twice, late and out of order, so nothing but the state of the vault and of
 * the journal decides: an event is a reason to look, never a fact.
 */
export function decide(event: VaultEvent, facts: VaultEventFacts): Decision {
  for (const rule of vaultEventRules) {
    const decision = rule(event, facts);
    if (decision) return decision;
  }
  return { action: 'rotate', reason: `version ${event.version} nears its expiry` };
}

function notConfigured({ secret }: VaultEvent, { validityMs }: VaultEventFacts): Decision | undefined {
  return validityMs === undefined ? ignore(`${secret} is not configured`) : undefined;
}

/** What happens to a version that nobody is to use any more needs no answer, and announcing it would lead back. */
function outdated({ version }: VaultEvent, { current }: VaultEventFacts): Decision | undefined {
  return version === current ? undefined : ignore(`version ${version} is outdated: ${current} is current`);
}

/** Key Vault goes on handing out an expired version. Whoever looks at the expiry does not. */
function expired({ kind, version }: VaultEvent): Decision | undefined {
  if (kind !== 'expired') return undefined;
  return { action: 'alarm', reason: `version ${version} is current and has expired` };
}

/** A rotation announces by itself what it publishes; what a person or a program set, nobody else would tell of. */
function newVersion({ kind, version, secret }: VaultEvent, facts: VaultEventFacts): Decision | undefined {
  if (kind !== 'new version') return undefined;
  const { publishedBy } = facts;
  // Names of secrets are the same in capital and small letters. A tag of another secret was copied from there.
  if (publishedBy?.toLowerCase().startsWith(`${secret.toLowerCase()}@`))
    return ignore(`version ${version} was published by the rotation ${publishedBy}`);
  return { action: 'announce', reason: `version ${version} was not published by a rotation` };
}

/** Key Vault tells of a near expiry 30 days ahead, which can't be changed. */
const nearExpiryMs = 30 * 86_400_000;

/** Each new version would be near its expiry at once: a rotation without end. The schedule drives these. */
function shortLived(_event: VaultEvent, { validityMs = 0 }: VaultEventFacts): Decision | undefined {
  if (validityMs > nearExpiryMs) return undefined;
  const days = (validityMs / 86_400_000).toFixed(1);
  return ignore(`a validity of ${days} days is driven by the schedule, as Key Vault tells 30 days ahead`);
}

function alreadyOpen(_event: VaultEvent, { open }: VaultEventFacts): Decision | undefined {
  return open === undefined ? undefined : ignore(`it joins the rotation ${open}, which is open`);
}

/** The schedule starts it when a window opens. */
function outsideWindow({ version }: VaultEvent, { waits }: VaultEventFacts): Decision | undefined {
  if (waits === undefined) return undefined;
  return { action: 'defer', reason: `version ${version} nears its expiry: ${waits}` };
}

function ignore(reason: string): Decision {
  return { action: 'ignore', reason };
}
