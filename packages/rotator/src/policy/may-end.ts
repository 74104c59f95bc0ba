import type { DriftFacts, LiveCredential } from './drift-facts.ts';

type Answer = true | { readonly no: string };
type Check = (facts: DriftFacts, one: LiveCredential) => string | undefined;

/** May Keyturn end a credential that nobody accounts for? Each check says why not; the first one that does decides. */
export const endChecks: readonly Check[] = [issuedHere, nothingIsOpen, nobodyHoldsIt, nobodyUsesIt];

export function mayEnd(facts: DriftFacts, one: LiveCredential): Answer {
  for (const check of endChecks) {
    const no = check(facts, one);
    if (no !== undefined) return { no };
  }
  return true;
}

/** What somebody else issued is theirs. */
function issuedHere(_facts: DriftFacts, { issuedBy }: LiveCredential): string | undefined {
  return issuedBy === undefined ? 'the source does not show that Keyturn issued it' : undefined;
}

function nothingIsOpen({ open }: DriftFacts): string | undefined {
  if (open === 'unknown') return 'the journal does not say whether a rotation is open';
  return open === undefined ? undefined : `${open.id} is open`;
}

/** A version that doesn't say what it holds may hold this one. */
function nobodyHoldsIt({ versions, untagged }: DriftFacts, { ref }: LiveCredential): string | undefined {
  const holder = versions.find(({ enabled, tags }) => enabled && tags.credential === ref);
  if (holder) return `version ${holder.version} holds it`;
  return untagged.length === 0
    ? undefined
    : `version ${untagged.join(', ')} does not say which credential it holds`;
}

function nobodyUsesIt(facts: DriftFacts, one: LiveCredential): string | undefined {
  if (one.usage === 'unknown') return "the source can't tell who uses it";
  const users = usersOf(facts, one);
  return users.length === 0 ? undefined : `${users.join(', ')} uses it`;
}

/** Those that the source sees, and those instances that say they hold a version of it. */
function usersOf({ instances, versions }: DriftFacts, { ref, usage }: LiveCredential): readonly string[] {
  const its = new Set(versions.filter(({ tags }) => tags.credential === ref).map(({ version }) => version));
  const holding = instances.filter(({ version, held }) => [version, ...held].some((one) => its.has(one)));
  const sessions = usage === 'unknown' ? [] : usage.sessions;
  return [
    ...sessions.map(({ client }) => `a session of ${client || 'an unnamed client'}`),
    ...holding.map(({ consumer, instance }) => `${consumer}/${instance}`),
  ];
}

export function whoIssued({ issuedBy }: LiveCredential): string {
  return issuedBy === undefined ? 'who issued it is unknown' : `Keyturn issued it for ${issuedBy}`;
}

export function whoUses(facts: DriftFacts, one: LiveCredential): string {
  if (one.usage === 'unknown') return "the source can't tell who uses it";
  const users = usersOf(facts, one);
  return users.length === 0 ? 'nobody uses it now' : `${users.join(', ')} uses it`;
}
