import { inspect } from 'node:util';
import type { SecretValue } from '@keyturn/source';
import { shortestOverlapMs } from '../src/policy/overlap.ts';
import type { World } from './fakes/world.ts';

type Invariant = (world: World) => readonly string[];

/** The invariants of the design by their names; each says what breaks it now, in words. */
export const invariants: Readonly<Record<string, Invariant>> = {
  'I1 available': available,
  'I2 current': current,
  'I3 gone': gone,
  'I4 silent': silent,
  'I5 single': single,
  'I6 no orphans': noOrphans,
  'I7 honest': honest,
};

export function brokenInvariants(world: World): string[] {
  return Object.entries(invariants).flatMap(([name, holds]) =>
    holds(world).map((what) => `${name}: ${what}`),
  );
}

/** Every value that a live client may hold authenticates at the source. */
function available({ vault, source, fleet, policy, clock }: World): string[] {
  const inInstances = fleet.members.flatMap(({ name, values }) => values.map((value) => ({ name, value })));
  // One that doesn't report may have read a version as long as it was current, and then keeps it.
  const keptMs = shortestOverlapMs(policy) - policy.clockSkewMs;
  const inCaches = vault.stored
    .filter((_, index) => clock.now() < (vault.stored[index + 1]?.setAt ?? Infinity) + keptMs)
    .map(({ version, value }) => ({ name: `a cache of ${version}`, value }));
  return [...inInstances, ...inCaches]
    .filter(({ value }) => !source.authenticates(value) && !source.isLost(value))
    .map(({ name }) => `${name} is refused`);
}

/** The vault's current version always authenticates, and is never published disabled or unproven. */
function current({ vault, source }: World): string[] {
  const { version, value, enabled, byKeyturn } = vault.newest();
  const works = source.authenticates(value) || source.isLost(value);
  return [
    ...(works ? [] : [`${version} is current and refused`]),
    ...(byKeyturn && !enabled ? [`${version} is current and disabled`] : []),
    ...vault.stored.filter(({ unproven }) => unproven).map((one) => `${one.version} was published unproven`),
  ];
}

/** After a rotation closes, the old credential is refused, no session of it lives, and nobody can read it any more. */
function gone({ outcomes, vault, source }: World): string[] {
  const revoked = outcomes.map(({ revokedVersion }) => vault.find(revokedVersion));
  const living = revoked.filter(
    ({ value }) => source.authenticates(value) || source.sessionsOf(value).length > 0,
  );
  const readable = vault.stored.filter(
    ({ enabled, value }) => enabled && revoked.some((one) => one.value.equals(value)),
  );
  return [
    ...living.map(({ version }) => `${version} was revoked and lives`),
    ...readable.map(({ version }) => `${version} is enabled and holds what was revoked`),
  ];
}

/** No value is ever in a journal, error, event or tag. */
function silent({ source, attempts, events, errors, vault, fleet }: World): string[] {
  const growing = { events, errors, announcements: fleet.announced };
  const journals = attempts.map(({ entries }) => ['journal', entries] as const);
  const tags = vault.stored.map((version) => version.tags);
  return [...Object.entries(growing), ...journals, ['tags', tags] as const]
    .filter(([, content]) => holdsValue(unseen(content), source.issued))
    .map(([place]) => `a value is in the ${place}`);
}

/** How much of a list that only grows was looked through already. */
const seen = new WeakMap<readonly unknown[], number>();

function unseen(list: readonly unknown[]): readonly unknown[] {
  const from = seen.get(list) ?? 0;
  seen.set(list, list.length);
  return list.slice(from);
}

function holdsValue(content: readonly unknown[], values: readonly SecretValue[]): boolean {
  if (content.length === 0) return false;
  const text = inspect(content, { depth: Infinity, showHidden: true, maxArrayLength: null });
  return values.some((value) => text.includes(value.reveal()));
}

/** At most one rotation of a secret is open. */
function single({ attempts, source }: World): string[] {
  const open = attempts.filter(({ state }) => state === 'open').map(({ request }) => request.id);
  return [
    ...(open.length > 1 ? [`${open.join(' and ')} are open`] : []),
    ...(source.live().length > 2 ? ['more than two credentials live'] : []),
  ];
}

/** No credential exists at the source that no vault version or open rotation accounts for. */
function noOrphans({ attempts, source, vault }: World): string[] {
  // A crashed rotation whose journal was lost is still open: the next request takes it up.
  if (attempts.length === 0 || attempts.some(({ state }) => state === 'open')) return [];
  const held = vault.stored.filter(({ tags }) => tags.refusedAt === undefined).map(({ value }) => value);
  return source.live().filter((ref) => !held.some((value) => source.refOf(value) === ref));
}

/** A rotation is reported closed only after old-refused was seen; what could not be checked is named. */
function honest({ outcomes, vault, source, policy }: World): string[] {
  return outcomes.flatMap(({ id, revokedVersion, notChecked }) => {
    const { value } = vault.find(revokedVersion);
    const says = (check: string) => notChecked.some((one) => one.startsWith(check));
    return [
      ...(source.refused.some((one) => one.equals(value)) ? [] : [`${id} closed, nobody saw a refusal`]),
      ...(source.tellsUsage() || says('usage') ? [] : [`${id} does not say that usage was not checked`]),
      ...(policy.consumers.some(({ reports }) => reports) || says('adoption')
        ? []
        : [`${id} does not say that adoption was not checked`]),
    ];
  });
}
