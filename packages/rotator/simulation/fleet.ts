import type { Announcement, Instance } from '../src/fleet/fleet.ts';
import type { Random } from './random.ts';
import type { InstanceTraits } from './scenario.ts';
import { startInstance, type Running } from './instances.ts';
import type { Tell } from './story.ts';
import type { Timeline } from './timeline.ts';
import type { SimulatedVault } from './vault.ts';

/** How long one that fell silent counts as live. */
export const leaseMs = 30_000;
const heartbeatMs = 15_000;

/** The running instances, and what the rotator's database knows of them. */
export interface SimulatedFleet {
  readonly running: readonly Running[];
  readonly announced: readonly Announcement[];
  start(traits: InstanceTraits): void;
  announce(announcement: Announcement): void;
  /** What a rotator that started at that time sees. */
  instances(rotatorStartedAt: number): readonly Instance[];
  /** The database forgets everything; those who live report again. */
  forget(): void;
}

interface Row {
  readonly of: Running;
  state: Instance;
  lastHeardAt: number;
}

export function openFleet(at: {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly vault: SimulatedVault;
  readonly vaultAnswers: () => boolean;
  /** Does any rotator listen? */
  readonly isHeard: () => boolean;
  readonly tell: Tell;
}): SimulatedFleet {
  const { timeline, random, isHeard } = at;
  const startedAt = timeline.now;
  const running: Running[] = [];
  const announced: Announcement[] = [];
  const rows = new Map<string, Row>();
  let standing: Announcement | undefined;

  function start(traits: InstanceTraits): void {
    running.push(startInstance({ ...at, traits, startedAt, changed: report }));
    const { dies, ...mortal } = traits;
    if (!dies) return;
    timeline.after(dies.at + dies.replacedAfterMs, () =>
      start({ ...mortal, instance: `${traits.instance}-again`, stubbornUntil: 0 }),
    );
  }

  /** What it says arrives a little later; where nobody listens, as soon as somebody does. */
  function report(instance: Running): void {
    if (!instance.traits.reports) return;
    timeline.after(random.between(20, 1_500), () => deliver(instance));
  }

  function deliver(instance: Running): void {
    if (!instance.alive) return;
    const state = instance.state();
    if (state === undefined) return;
    if (instance.isCutOff() || !isHeard()) return timeline.after(5_000, () => deliver(instance));
    rows.set(instance.name, { of: instance, state, lastHeardAt: timeline.now });
  }

  /** Between two changes an instance says again and again that it lives. */
  function heardAt(row: Row): number {
    if (row.of.alive && !row.of.isCutOff()) row.lastHeardAt = timeline.now;
    return row.lastHeardAt;
  }

  return {
    running,
    announced,
    start,
    announce(announcement) {
      announced.push(announcement);
      if (standing?.version === announcement.version) return;
      standing = announcement;
      for (const one of running) if (one.alive && one.traits.reports && !one.isCutOff()) one.hear();
    },
    instances(rotatorStartedAt) {
      const silentSince = timeline.now - leaseMs;
      for (const [name, row] of rows)
        if (heardAt(row) < silentSince && rotatorStartedAt < silentSince) rows.delete(name);
      return [...rows.values()].map(({ state }) => state);
    },
    forget() {
      rows.clear();
      standing = undefined;
      for (const one of running)
        if (one.traits.reports) timeline.after(random.between(100, heartbeatMs), () => deliver(one));
    },
  };
}
