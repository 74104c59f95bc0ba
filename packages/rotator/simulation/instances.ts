import type { Instance } from '../src/fleet/fleet.ts';
import type { Random } from './random.ts';
import type { InstanceTraits } from './scenario.ts';
import type { Credential } from './source.ts';
import type { Tell } from './story.ts';
import type { Timeline } from './timeline.ts';
import type { SimulatedVault, StoredVersion } from './vault.ts';

/** A running instance of an application. */
export interface Running {
  readonly name: string;
  readonly traits: InstanceTraits;
  readonly alive: boolean;
  /** Every credential that it may use for a login, or still works with. */
  holds(): readonly Credential[];
  /** What it would say if it were asked now. */
  state(): Instance | undefined;
  isCutOff(): boolean;
  /** It heard that there is a new version. */
  hear(): void;
}

interface Held {
  readonly version: string;
  /** How new the version is. */
  readonly index: number;
  readonly credential: Credential;
}

/** Starts an instance: it reads the vault, logs in, and reads again whenever its time is up or it hears something. */
export function startInstance(at: {
  readonly traits: InstanceTraits;
  readonly startedAt: number;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly vault: SimulatedVault;
  /** Can the vault be reached? */
  readonly vaultAnswers: () => boolean;
  readonly tell: Tell;
  /** What it says has changed. */
  readonly changed: (instance: Running) => void;
}): Running {
  const { traits, startedAt, timeline, random, vault, vaultAnswers, tell, changed } = at;
  const name = `${traits.consumer}/${traits.instance}`;
  const refused: Record<string, number> = {};
  let alive = true;
  let current: Held | undefined;
  let held: Held[] = [];
  let authenticatedAt: string | undefined;
  let lastUsed: string | undefined;
  let tried: string | undefined;
  let reading = false;
  let readings = 0;
  const since = (): number => timeline.now - startedAt;

  const isCutOff = (): boolean =>
    traits.cutOff !== undefined && since() >= traits.cutOff.from && since() < traits.cutOff.until;

  function read(): void {
    if (!alive || reading) return;
    reading = true;
    readings += 1;
    timeline.after(random.between(10, 1_500), () => {
      const seen = vaultAnswers() && !isCutOff() ? vault.newest() : undefined;
      const index = vault.stored.length - 1;
      // An answer that is long on its way is cached when it comes: that is why two lifetimes have to pass.
      const answerMs = random.chance(0.03)
        ? random.between(1_500, 0.9 * traits.ttlMs)
        : random.between(10, 1_500);
      timeline.after(answerMs, () => {
        reading = false;
        if (!alive) return;
        if (seen?.enabled) adopt(seen, index);
        const reads = readings;
        timeline.after(seen ? traits.ttlMs : 5_000, () => reads === readings && expire());
      });
    });
  }

  /** One that doesn't report never serves what is older than its TTL; the client serves the last good value. */
  function expire(): void {
    if (!alive) return;
    if (!traits.reports && current) {
      const former = current;
      current = undefined;
      letGo(former);
    }
    read();
  }

  function adopt({ version, credential }: StoredVersion, index: number): void {
    if (current && (current.version === version || index < current.index)) return;
    if (current && since() < traits.stubbornUntil) return;
    const { refusedSlot } = traits;
    const isRefused =
      refusedSlot !== undefined && refusedSlot.slot === credential.slot && since() < refusedSlot.until;
    const works = credential.alive && !credential.lost && !isRefused;
    if (!works) {
      refused[version] = (refused[version] ?? 0) + 1;
      if (version !== tried) tell(() => `${name} is refused with ${version}`);
      tried = version;
      changed(instance);
      return;
    }
    const former = current;
    current = { version, index, credential };
    credential.sessions.add(name);
    authenticatedAt = new Date(timeline.now).toISOString();
    if (former) letGo(former);
    if (version !== lastUsed) tell(() => `${name} uses ${version}`);
    lastUsed = version;
    changed(instance);
  }

  /** What is replaced goes on being used until the work that began with it is done. */
  function letGo(one: Held): void {
    held.push(one);
    const over = (): void => {
      held = held.filter((other) => other !== one);
      const isUsed = [current, ...held].some((other) => other?.credential === one.credential);
      if (!isUsed) one.credential.sessions.delete(name);
      if (alive) changed(instance);
    };
    if (traits.drainMs === 0) over();
    else timeline.after(traits.drainMs, over);
  }

  function die(): void {
    if (!alive) return;
    alive = false;
    tell(() => `${name} dies`);
    for (const one of [current, ...held]) one?.credential.sessions.delete(name);
  }

  const instance: Running = {
    name,
    traits,
    get alive() {
      return alive;
    },
    holds: () => (alive ? [...(current ? [current] : []), ...held].map(({ credential }) => credential) : []),
    state() {
      // One that was refused from the start says so too.
      const version = current?.version ?? tried;
      if (version === undefined) return undefined;
      return {
        consumer: traits.consumer,
        instance: traits.instance,
        version,
        held: [...new Set(held.map((one) => one.version))].filter((one) => one !== version),
        ...(authenticatedAt === undefined ? {} : { authenticatedAt }),
        refused: { ...refused },
      };
    },
    isCutOff,
    hear: () => timeline.after(random.between(50, 2_000), read),
  };
  if (traits.dies) timeline.after(traits.dies.at, die);
  if (traits.cutOff) timeline.after(traits.cutOff.until, () => changed(instance));
  read();
  return instance;
}
