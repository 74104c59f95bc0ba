import type { CredentialRef, Usage } from '@keyturn/source';
import type { Instance } from '../fleet/fleet.ts';
import type { Run } from '../journal/run.ts';
import { hasConverged, judgeConvergence, type Verdict } from '../policy/converged.ts';
import type { Published, Rotation } from '../rotation.ts';
import { findRollBack, refuseIfNotOurs } from './publish.ts';

/** How the waiting ended. */
export type Convergence = {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Why the new version must be taken back; empty if nobody objected. */
  readonly rejections: readonly string[];
  readonly notChecked: readonly string[];
};

interface Towards {
  readonly to: Published;
  readonly leaving: CredentialRef;
}

/** One durable step waits this long at most, so that an operator is heard in between. */
const sliceMs = 60_000;

/**
 * Waits for clock, adoption and usage together, however long it takes. At the deadline the rotation is held:
 * people are told, the old credential keeps working, and the waiting goes on.
 */
export async function converge(run: Run, rotation: Rotation, towards: Towards): Promise<Convergence> {
  for (;;) {
    const convergence = await run.step('converge', () => watch(rotation, towards));
    if (convergence) return convergence;
    const order = await run.signal<string>('operator', 0);
    if (order === 'roll back' && !towards.to.rolledBack) {
      return { at: rotation.clock.now(), rejections: ['an operator asked for it'], notChecked: [] };
    }
  }
}

async function watch(rotation: Rotation, towards: Towards): Promise<Convergence | null> {
  const { clock, policy, fleet, secret } = rotation;
  const { to } = towards;
  rotation.report({ kind: 'phase', phase: 'converge' });
  await refuseIfNotOurs(rotation);
  if (!to.rolledBack && (await findRollBack(rotation))) {
    return { at: clock.now(), rejections: ['it was being rolled back before'], notChecked: [] };
  }
  // After a restart nobody who connects has heard of it yet.
  await fleet.announce({ secret, version: to.version, spreadMs: 0 });
  const until = clock.now() + sliceMs;
  let held = false;
  for (let first = true; clock.now() < until; first = false) {
    const seen = await look(rotation, towards).catch(unlessFirst(first));
    if (seen === undefined) return null;
    if (seen.converged || seen.rejections.length > 0) {
      return { at: clock.now(), rejections: seen.rejections, notChecked: notChecked(seen.verdicts) };
    }
    if (!held && isOverdue(rotation, to)) {
      held = true;
      rotation.report({ kind: 'held', stragglers: seen.verdicts.flatMap(({ stragglers }) => stragglers) });
    }
    await clock.sleep(policy.pollMs);
  }
  return null;
}

/**
 * A look that fails after one that did not ends the slice. If the reason lasts, the next slice begins with it, and
 * its retries count from there.
 */
function unlessFirst(first: boolean) {
  return (error: unknown): undefined => {
    if (first) throw error;
  };
}

/** Right after a start those who live have had no time to say so: to hold then would be to hold for ever. */
function isOverdue({ clock, policy, fleet }: Rotation, { publishedAt }: Published): boolean {
  return clock.now() > Math.max(publishedAt + policy.deadlineMs, fleet.settledAt);
}

interface Seen {
  readonly converged: boolean;
  readonly verdicts: readonly Verdict[];
  readonly rejections: readonly string[];
}

async function look(rotation: Rotation, { to, leaving }: Towards): Promise<Seen> {
  const { clock, policy, fleet, secret, source } = rotation;
  const { version, publishedAt } = to;
  const instances = await fleet.instances(secret);
  const usage = await source.usage(leaving);
  const now = clock.now();
  const verdicts = judgeConvergence({ policy, now, publishedAt, version, instances, usage });
  const converged = hasConverged(verdicts);
  reportStanding(rotation, { to, leaving, converged, verdicts, instances, usage });
  const rejections = to.rolledBack
    ? [] // an objection against the old value is no evidence that the new one may go
    : instances.filter((instance) => isRejecting(instance, version)).map(rejection);
  return { converged, verdicts, rejections };
}

/** The source refuses this instance the new version, and it has had no login with it since. */
function isRejecting({ version, authenticatedAt, refused }: Instance, target: string): boolean {
  const loggedIn = version === target && authenticatedAt !== undefined;
  return (refused[target] ?? 0) > 0 && !loggedIn;
}

function rejection({ consumer, instance }: Instance): string {
  return `${consumer}/${instance} is refused with the new version`;
}

function notChecked(verdicts: readonly Verdict[]): string[] {
  return verdicts
    .filter(({ passed }) => passed === 'not checked')
    .map(({ check, why }) => `${check}: ${why}`);
}

function reportStanding(
  rotation: Rotation,
  at: {
    to: Published;
    leaving: CredentialRef;
    converged: boolean;
    verdicts: readonly Verdict[];
    instances: readonly Instance[];
    usage: Usage;
  },
): void {
  const { to, leaving, converged, verdicts, instances, usage } = at;
  rotation.report({
    kind: 'standing',
    version: to.version,
    leaving,
    converged,
    verdicts,
    instances,
    ...(usage === 'unknown' ? {} : { oldSessions: usage.sessions.map(({ client }) => client) }),
  });
}
