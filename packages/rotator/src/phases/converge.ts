import type { CredentialRef, Usage } from '@keyturn/source';
import type { Instance } from '../fleet/fleet.ts';
import type { Run } from '../journal/run.ts';
import type { GivenOrder } from '../order.ts';
import { hasConverged, judgeConvergence, type Verdict } from '../policy/converged.ts';
import type { SecretPolicy } from '../policy/secret-policy.ts';
import type { Published, Rotation } from '../rotation.ts';
import { aborted } from './approve.ts';
import { findRollBack, refuseIfNotOurs } from './publish.ts';

/** How the waiting ended. */
export type Convergence = {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Why the new version must be taken back; empty if nobody objected. */
  readonly rejections: readonly string[];
  readonly notChecked: readonly string[];
  /** The operator who didn't want to wait. */
  readonly proceeded?: GivenOrder;
};

interface Towards {
  readonly to: Published;
  readonly leaving: CredentialRef;
}

/** One durable step waits this long at most: so often it is seen whether somebody else has published. */
const sliceMs = 60_000;

/**
 * Waits for clock, adoption and usage together, however long it takes. At the deadline the rotation is held:
 * people are told, the old credential keeps working, and the waiting goes on.
 */
export async function converge(run: Run, rotation: Rotation, towards: Towards): Promise<Convergence> {
  const { clock, report } = rotation;
  for (;;) {
    const convergence = await run.step('converge', () => watch(rotation, towards));
    if (convergence) return convergence;
    const given = await run.signal<GivenOrder>('operator', 0);
    if (given === undefined) continue;
    report({ kind: 'order', given });
    const { order, who, why } = given;
    if (order === 'abort') await run.step('converge', () => Promise.reject(aborted(rotation, given)));
    if (order === 'proceed')
      return {
        at: clock.now(),
        rejections: [],
        notChecked: [`convergence: ${who} went on without it (${why})`],
        proceeded: given,
      };
    if (order === 'roll back' && !towards.to.rolledBack)
      return { at: clock.now(), rejections: [`${who} asked for it: ${why}`], notChecked: [] };
  }
}

async function watch(rotation: Rotation, towards: Towards): Promise<Convergence | null> {
  const { clock, policy, fleet, secret, request } = rotation;
  const { to } = towards;
  rotation.report({ kind: 'phase', phase: 'converge' });
  await refuseIfNotOurs(rotation);
  if (!to.rolledBack && (await findRollBack(rotation))) {
    return { at: clock.now(), rejections: ['it was being rolled back before'], notChecked: [] };
  }
  // After a restart nobody who connects has heard of it yet.
  await fleet.announce({ secret, version: to.version, spreadMs: 0 });
  const until = clock.now() + sliceMs;
  const heardBefore = rotation.attention?.();
  const spoken = () => rotation.attention?.() !== heardBefore;
  let held = false;
  for (let first = true; clock.now() < until && !spoken(); first = false) {
    const seen = await look(rotation, towards).catch(unlessFirst(first));
    if (seen === undefined) return null;
    if (seen.converged || seen.rejections.length > 0) {
      return { at: clock.now(), rejections: seen.rejections, notChecked: notChecked(seen.verdicts) };
    }
    const cutOff = request?.compromised
      ? whomAnEmergencyCutsOff(seen.verdicts, { policy, to, now: clock.now() })
      : undefined;
    if (cutOff) return { at: clock.now(), rejections: [], notChecked: cutOff };
    if (!held && isOverdue(rotation, to)) {
      held = true;
      rotation.report({ kind: 'held', stragglers: seen.verdicts.flatMap(({ stragglers }) => stragglers) });
    }
    await clock.sleep(policy.pollMs);
  }
  return null;
}

/**
 * In an emergency nothing waits for the clock, and nobody is waited for for long: names who is cut off, nobody if
 * everyone has adopted; undefined as long as there is reason to wait.
 */
function whomAnEmergencyCutsOff(
  verdicts: readonly Verdict[],
  { policy, to, now }: { policy: SecretPolicy; to: Published; now: number },
): readonly string[] | undefined {
  const behind = verdicts.filter(({ check, passed }) => check !== 'clock' && passed === false);
  const isOver = now - to.publishedAt >= (policy.emergencyMs ?? 60_000);
  if (behind.length > 0 && !isOver) return undefined;
  return [
    'clock: an emergency does not wait for it',
    ...behind.map(({ check, stragglers }) => `${check}: ${stragglers.join(', ')} cut off`),
    ...notChecked(verdicts),
  ];
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
  const { clock, policy, fleet, secret, source, request } = rotation;
  const { version, publishedAt } = to;
  const instances = await fleet.instances(secret);
  const usage = await source.usage(leaving);
  const now = clock.now();
  const verdicts = judgeConvergence({ policy, now, publishedAt, version, instances, usage });
  const converged = hasConverged(verdicts);
  reportStanding(rotation, { to, leaving, converged, verdicts, instances, usage });
  // An objection against the old value is no evidence that the new one may go; nor is it in an emergency, when the
  // old one is in the wrong hands.
  const rejections =
    to.rolledBack || request?.compromised
      ? []
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
