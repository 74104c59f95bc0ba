import { SecretValue } from '@keyturn/source';
import { decide } from '../src/triggers/on-vault-event.ts';
import type { Database } from '../src/journal/database.ts';
import type { Journal } from '../src/journal/journal.ts';
import type { Requested } from '../src/policy/which-rotation.ts';
import { openOperator, type Operator } from '../src/triggers/operator.ts';
import { begin } from './journal.ts';
import type { RotatorProcess } from './rotator.ts';
import { mark } from './source.ts';
import { secret, type Meddling, type Said, type Scenario } from './scenario.ts';
import { short } from './story.ts';
import type { World } from './world.ts';

/** Somebody or something asks for a rotation at a rotator that lives; what they ask is lost if it dies. */
export async function ask(
  world: World,
  by: Scenario['requests'][number]['by'],
  compromised = false,
): Promise<void> {
  const process = world.anyRotator();
  if (!process) return;
  world.tell(() => `${by} asks ${process.incarnation} for a rotation${compromised ? ': compromised!' : ''}`);
  world.count(`asked by ${by}`);
  if (compromised) world.count('emergencies');
  const operator = operatorOf(world, process, { compromised });
  const asked = { secret, by: { who: by, why: 'it is time' } };
  try {
    if (by !== 'event') return void (await operator.start({ ...asked, compromised }));
    const version = await versionToRotate(world, process);
    if (version !== undefined) await operator.startFor(version, asked);
  } catch (error) {
    // The vault is away: they ask again, or don't.
    world.tell(() => `the request of ${by} fails: ${(error as Error).message}`);
  }
}

/** The operator port of a process. */
function operatorOf(
  world: World,
  process: RotatorProcess,
  { compromised }: { readonly compromised: boolean },
): Operator {
  const { policy } = world.scenario;
  return openOperator({
    vault: process.vault,
    names: [secret],
    configured: () => ({ policy, source: process.source }),
    journal: {
      unfinished: () =>
        process.database('journal.unfinished', () => world.allOpen().map(({ request }) => request)),
      start: async (requested: Requested) => {
        const isOutdated = requested.request?.who === 'event' && requested.from !== 'v1';
        if (isOutdated) world.intrude(`an event about v1 starts ${requested.id}`);
        if (compromised) world.excuse(requested.id);
        await begin(world, process, requested);
      },
    } as Partial<Journal> as Journal,
    database: { history: { rotation: async () => undefined } } as unknown as Database,
    clock: process.clock,
    record: (record) => world.show('event', record),
    outlook: () => ({}),
  });
}

/**
 * An event tells of the version that was current at the beginning, however often and however late it comes. Says
 * which version is to be replaced, as the service does; undefined if none is.
 */
async function versionToRotate(world: World, { vault }: RotatorProcess): Promise<string | undefined> {
  const { version: current } = await vault.current(secret);
  const open = world.open()?.request.id;
  const { action, reason } = decide(
    { kind: 'near expiry', vault: vault.url, secret, version: 'v1', at: world.timeline.now, eventId: 'one' },
    { validityMs: world.scenario.policy.validityMs, current, ...(open === undefined ? {} : { open }) },
  );
  if (action === 'rotate') return current;
  world.tell(() => `the event starts nothing: ${reason}`);
  world.count('events ignored');
  return undefined;
}

/** An operator says something to the rotation that is open. */
export function say(world: World, order: Said, who: string): void {
  const attempt = world.open();
  if (!attempt) return;
  world.tell(() => `${who} says "${order}" to the rotation ${short(attempt.request.id)}`);
  world.count(`ordered: ${order}`);
  if (order === 'proceed') world.excuse(attempt.request.id);
  attempt.orders.push({ order, who, why: 'they know', at: new Date(world.timeline.now).toISOString() });
  world.said += 1;
}

/** What a person does to the vault or the source behind the rotator's back. */
export function meddle(world: World, what: Meddling): void {
  world.tell(() => `a person ${what}`);
  world.count('meddlings');
  meddlings[what](world);
}

const meddlings: Readonly<Record<Meddling, (world: World) => void>> = {
  'sets a copy of the current value': ({ vault }) =>
    void vault.set(vault.newest().credential.value, {}, false),
  'sets an older value again': ({ vault, random }) => {
    // A portal takes the tags along.
    const { credential, tags } = random.of(vault.stored);
    vault.set(credential.value, random.chance(0.5) ? tags : {}, false);
  },
  'sets rubbish': ({ vault, source }) => {
    const rubbish = source.credentialOf(new SecretValue(`${mark} that is rubbish`));
    vault.set(rubbish.value, {}, false);
  },
  'disables an old version': ({ vault, random }) => {
    const old = vault.stored.slice(0, -1);
    if (old.length > 0) random.of(old).enabled = false;
  },
  'disables the current version for a while': ({ vault, timeline, random }) => {
    const current = vault.newest();
    current.enabled = false;
    timeline.after(
      random.between(1_000, 300_000),
      () => (current.enabled = !current.disabledByKeyturn && !current.credential.refused),
    );
  },
  'changes the password in a slot': ({ source, random }) => {
    const live = source.live();
    if (live.length === 0) return;
    const credential = random.of(live);
    credential.lost = true;
    if (credential.slot) source.put(credential.slot, credential.ref);
  },
};
