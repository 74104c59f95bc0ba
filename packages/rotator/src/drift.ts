import { isDeepStrictEqual } from 'node:util';
import { SourceError, type RotationId, type Source } from '@keyturn/source';
import type { JournalView } from './journal-view.ts';
import { looked, type Looked } from './looked.ts';
import { authenticates } from './phases/authenticates.ts';
import { judgeDrift } from './policy/drift-checks.ts';
import type { DriftFacts, DriftFinding, LiveCredential } from './policy/drift-facts.ts';
import { whichRotation } from './policy/which-rotation.ts';
import { RotatorError } from './rotator-error.ts';
import { replacedVersion, rotationId } from './rotation.ts';
import type { Vault, VaultVersion } from './vault.ts';

export interface DriftOptions {
  readonly secret: string;
  readonly source: Source;
  readonly vault: Vault;
  readonly journal: JournalView;
}

/** What is not as the last rotation left it. */
export interface Drift {
  readonly secret: string;
  readonly findings: readonly DriftFinding[];
  /** What could not be seen, so that nobody takes it for healthy. */
  readonly notChecked: readonly string[];
}

/**
 * Compares the vault with the source, and changes nothing. It may run beside a rotation, whose own credentials are
 * no drift. Throws what the vault or the source throw when they can't be looked at.
 */
export async function findDrift(options: DriftOptions): Promise<Drift> {
  const { secret } = options;
  const found = await gather(options);
  if (found === 'moving')
    return { secret, findings: [], notChecked: ['anything: the secret is changing at this moment'] };
  return { secret, findings: judgeDrift(found.facts), notChecked: found.notChecked };
}

/** What came of an attempt to end a credential. */
export type Cleaned = { readonly ended: true } | { readonly ended: false; readonly why: string };

/**
 * Ends the credential of a finding, if a fresh look still says that Keyturn issued it, that nobody holds or uses it
 * and that no rotation is open. Whoever calls this sees to it that none begins meanwhile: it might issue the very
 * credential anew. Repeating it is harmless.
 */
export async function cleanDrift(finding: DriftFinding, options: DriftOptions): Promise<Cleaned> {
  const { source, secret } = options;
  const { ref } = finding;
  if (ref === undefined || finding.endable === undefined)
    return { ended: false, why: 'it is for people to decide' };
  const { findings, notChecked } = await findDrift(options);
  const again = findings.find((one) => one.check === finding.check && one.ref === ref);
  if (again?.endable === undefined) return { ended: false, why: notChecked[0] ?? 'it is gone' };
  if (again.endable !== true) return { ended: false, why: again.endable.no };
  await source.revoke(ref);
  if (!(await source.list()).includes(ref)) return { ended: true };
  throw new RotatorError('NOT_REFUSED', `${ref} of ${secret} was ended and still lives.`, {
    hint: 'End it at the source, and see what gives it back.',
  });
}

interface Gathered {
  readonly facts: DriftFacts;
  readonly notChecked: readonly string[];
}

const looks = 3;

/** Vault, source and journal can't be looked at in one instant: what changed on the way is looked at again. */
async function gather(options: DriftOptions): Promise<Gathered | 'moving'> {
  for (let look = 0; look < looks; look += 1) {
    const before = await frame(options);
    const gathered = await gatherWithin(options, before);
    if (isDeepStrictEqual(before, await frame(options))) return gathered;
  }
  return 'moving';
}

/** What every change of a rotation shows up in. */
interface Frame {
  readonly open: Looked<RotationId | undefined>;
  readonly versions: readonly VaultVersion[];
}

async function frame({ secret, vault, journal }: DriftOptions): Promise<Frame> {
  const open = await looked(async () => (await journal.openRotation(secret))?.id);
  return { open, versions: await vault.versions(secret) };
}

async function gatherWithin(options: DriftOptions, { open, versions }: Frame): Promise<Gathered> {
  const { secret, source, vault, journal } = options;
  const { value, ...current } = await vault.current(secret);
  const live = await liveCredentials(options, { current, versions });
  const untagged = await untaggedVersions(options, versions);
  const instances = await looked(() => journal.instances(secret));
  const facts: DriftFacts = {
    secret,
    current,
    currentAuthenticates: await authenticates(source, value),
    versions,
    live,
    untagged,
    open:
      'seen' in open && 'seen' in instances
        ? openOne({ ...options, current, versions }, open.seen)
        : 'unknown',
    instances: 'seen' in instances ? instances.seen : [],
  };
  return { facts, notChecked: whatIsNot({ source, journal: [open, instances], live, facts }) };
}

/** The journal knows of those that have not published yet, the vault of those that a lost journal has forgotten. */
function openOne(
  at: {
    readonly vault: Vault;
    readonly secret: string;
    readonly current: VaultVersion;
    readonly versions: readonly VaultVersion[];
  },
  journalled: RotationId | undefined,
): DriftFacts['open'] {
  if (journalled !== undefined) return { id: journalled, from: replacedVersion(journalled) };
  const { id, from } = whichRotation({ ...at, vault: at.vault.url });
  return from === at.current.version ? undefined : { id, from };
}

async function liveCredentials(
  { secret, source }: DriftOptions,
  { current, versions }: { readonly current: VaultVersion; readonly versions: readonly VaultVersion[] },
): Promise<readonly LiveCredential[]> {
  const rotations = versions.map(({ version }) => rotationId(secret, version));
  const issued = (await source.inspect?.({ current: current.tags.credential, rotations }))?.issued ?? [];
  const live: LiveCredential[] = [];
  for (const ref of await source.list()) {
    const issuedBy = issued.find((one) => one.ref === ref)?.rotation;
    live.push({ ref, usage: await source.usage(ref), ...(issuedBy === undefined ? {} : { issuedBy }) });
  }
  return live;
}

/** More logins than this are not tried: they might look like an attack. */
const mostTried = 10;

/** Enabled versions that may hold any of the credentials: those that log in, and those that were not tried. */
async function untaggedVersions(
  { secret, source, vault }: DriftOptions,
  versions: readonly VaultVersion[],
): Promise<readonly string[]> {
  const untagged = versions
    .filter(({ enabled, tags }) => enabled && tags.credential === undefined)
    .map(({ version }) => version);
  const holding: string[] = [];
  for (const version of untagged.slice(0, mostTried)) {
    const value = await vault.read(secret, version);
    if (await authenticates(source, value).catch(unlessUnreachable)) holding.push(version);
  }
  return [...holding, ...untagged.slice(mostTried)];
}

/** What the source can't read may hold anything; without an answer nothing is known at all. */
function unlessUnreachable(error: unknown): true {
  if (error instanceof SourceError && error.code !== 'UNREACHABLE') return true;
  throw error;
}

function whatIsNot(at: {
  readonly source: Source;
  readonly journal: readonly Looked<unknown>[];
  readonly live: readonly LiveCredential[];
  readonly facts: DriftFacts;
}): readonly string[] {
  const { source, journal, live, facts } = at;
  const failure = journal.flatMap((one) => ('failure' in one ? [one.failure] : []))[0];
  const unseen = live.filter(({ usage }) => usage === 'unknown').map(({ ref }) => ref);
  return [
    ...(failure ? [`orphans, and versions that are enabled without a credential: ${failure.message}`] : []),
    ...(source.inspect ? [] : [`who issued what: ${source.kind} does not tell`]),
    ...(unseen.length > 0 ? [`who uses ${unseen.join(', ')}: the source can't tell`] : []),
    ...(facts.untagged.length > 1
      ? [`which credential the versions ${facts.untagged.join(', ')} hold: they have no tag that says it`]
      : []),
  ];
}
