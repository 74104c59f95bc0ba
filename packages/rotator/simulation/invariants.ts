import { replacedVersion } from '../src/rotation.ts';
import type { Attempt } from './journal.ts';
import type { Credential } from './source.ts';
import type { World } from './world.ts';

type Invariant = (world: World) => string | undefined;

/** The invariants of the design by their names; each says what breaks it now, in words. I4 is watched in `show`. */
const invariants: readonly (readonly [name: string, holds: Invariant])[] = [
  ['I1 available', available],
  ['I2 current', current],
  ['I3 gone', gone],
  ['I5 single', single],
  ['I6 no orphans', noOrphans],
  ['I7 honest', honest],
];

export function brokenInvariant(world: World): string | undefined {
  if (world.leak) return `I4 silent: a value is in the ${world.leak}`;
  for (const [name, holds] of invariants) {
    const what = holds(world);
    if (what !== undefined) return `${name}: ${what}`;
  }
  return undefined;
}

const works = ({ alive, lost }: Credential): boolean => alive && !lost;

/** Every value that a live client may hold authenticates, unless the source itself or an operator wanted it otherwise. */
function available({ fleet, excused }: World): string | undefined {
  for (const one of fleet.running)
    for (const credential of one.holds())
      if (!works(credential) && !credential.lost && !excused.has(credential))
        return `${one.name} holds ${credential.ref}, which is refused`;
  return undefined;
}

/** The vault's current version always authenticates, and is never published disabled or unproven. */
function current({ vault, excused }: World): string | undefined {
  const { version, credential, stillborn, disabledByKeyturn, unproven } = vault.newest();
  if (unproven) return `${version} was published unproven`;
  const isTheirs = stillborn || credential.lost || excused.has(credential);
  if (isTheirs) return undefined;
  if (disabledByKeyturn) return `${version} is current and disabled`;
  return works(credential) ? undefined : `${version} is current and refused`;
}

/** After a rotation closes, the old credential is refused, no session of it lives, and nobody can read it any more. */
function gone({ outcomes, vault }: World): string | undefined {
  for (const { revokedVersion } of outcomes) {
    const revoked = vault.find(revokedVersion)?.credential;
    if (!revoked) return `${revokedVersion} is said to be revoked and is not there`;
    if (works(revoked) || revoked.sessions.size > 0) return `${revokedVersion} was revoked and lives`;
    const readable = vault.stored.find(
      ({ credential, enabled, stillborn, tags }) =>
        enabled && !stillborn && tags.credential !== undefined && credential === revoked,
    );
    if (readable) return `${readable.version} is enabled and holds what was revoked`;
  }
  return undefined;
}

/** At most one rotation is open, and none begins inside the overlap of another. */
function single({ attempts, intruder }: World): string | undefined {
  if (intruder) return intruder;
  let open = 0;
  for (const { state, entries } of attempts) if (state === 'open' && hasStarted(entries)) open += 1;
  return open > 1 ? `${open} rotations are open` : undefined;
}

/** It has passed the preflight, so it may change things. */
const hasStarted = (entries: Attempt['entries']): boolean =>
  entries.some((entry) => entry.name === 'preflight' && 'result' in entry);

/** What a rotation that issues now would intrude upon: the overlap of another one. */
export function overlapOfAnother({ vault }: Pick<World, 'vault'>, rotation: string): string | undefined {
  const { tags } = vault.newest();
  if (tags.rotation === undefined || tags.rotation === rotation) return undefined;
  const leaving = vault.stored.filter(({ version, tags: its }) =>
    tags.rolledBack
      ? its.rotation === tags.rotation && !its.rolledBack
      : version === replacedVersion(tags.rotation ?? ''),
  );
  return leaving.every((one) => one.tags.refusedAt !== undefined)
    ? undefined
    : `${rotation} issues inside the overlap of ${tags.rotation}`;
}

/** Where no rotation is open, no credential lives that no version holds. */
function noOrphans({ attempts, source, vault }: World): string | undefined {
  const last = attempts.at(-1);
  if (last?.state !== 'ended' || attempts.some(({ state }) => state === 'open')) return undefined;
  const held = new Set(
    vault.stored.filter(({ tags }) => tags.refusedAt === undefined).map(({ credential }) => credential.ref),
  );
  return source
    .list()
    .find((ref) => !held.has(ref))
    ?.concat(' lives, and nothing accounts for it');
}

/** A rotation is reported closed only after old-refused was seen; what could not be checked is named. */
function honest({ outcomes, vault, scenario }: World): string | undefined {
  for (const { id, revokedVersion, notChecked } of outcomes) {
    const says = (check: string): boolean => notChecked.some((one) => one.startsWith(check));
    if (!vault.find(revokedVersion)?.credential.refused) return `${id} closed, nobody saw a refusal`;
    if (says('convergence')) continue; // an operator went on without it
    if (!scenario.source.tellsUsage && !says('usage')) return `${id} does not say that usage was not checked`;
    const reports = scenario.policy.consumers.some((one) => one.reports);
    if (!reports && !says('adoption')) return `${id} does not say that adoption was not checked`;
  }
  return undefined;
}
