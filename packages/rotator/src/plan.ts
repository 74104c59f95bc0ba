import type { CredentialRef, Inspection, Source } from '@keyturn/source';
import type { Clock } from './clock.ts';
import type { JournalView } from './journal-view.ts';
import { after, both, looked, type Looked } from './looked.ts';
import { authenticates } from './phases/authenticates.ts';
import { startFacts } from './policy/may-start.ts';
import { judgePlan } from './policy/plan-checks.ts';
import type { OpenRotation, PlanFacts, PlanFinding, PlannedRotation } from './policy/plan-facts.ts';
import { overlapMs, shortestOverlapMs } from './policy/overlap.ts';
import type { SecretPolicy } from './policy/secret-policy.ts';
import { whichCredential } from './policy/which-credential.ts';
import { whichRotation } from './policy/which-rotation.ts';
import { RotatorError } from './rotator-error.ts';
import { replacedVersion } from './rotation.ts';
import type { Vault, VaultVersion } from './vault.ts';

export interface PlanOptions {
  readonly policy: SecretPolicy;
  readonly source: Source;
  readonly vault: Vault;
  readonly journal: JournalView;
  readonly clock: Clock;
}

/** What a rotation asked for now would meet. */
export interface Plan {
  readonly secret: string;
  /** Absent where the vault didn't say. */
  readonly rotation?: PlannedRotation;
  /** False if one of the findings is a `stop`. */
  readonly mayStart: boolean;
  readonly shortestOverlapMs: number;
  readonly overlapMs: number;
  /** ISO 8601, as if it were published now. */
  readonly deadlineAt: string;
  readonly expiresAt: string;
  readonly findings: readonly PlanFinding[];
}

/**
 * Looks at all that a rotation would look at, and changes nothing. Never throws for what it finds: a vault or a
 * source that can't be reached is a finding.
 *
 * @example
 * const { mayStart, findings } = await plan({ policy, source, vault, journal, clock: systemClock });
 */
export async function plan(options: PlanOptions): Promise<Plan> {
  const { policy } = options;
  const facts = await gather(options);
  const findings = judgePlan(facts);
  const at = (ms: number) => new Date(facts.now + ms).toISOString();
  return {
    secret: policy.secret,
    ...('seen' in facts.rotation ? { rotation: facts.rotation.seen } : {}),
    mayStart: findings.every(({ mark }) => mark !== 'stop'),
    shortestOverlapMs: shortestOverlapMs(policy),
    overlapMs: overlapMs(policy),
    deadlineAt: at(policy.deadlineMs),
    expiresAt: at(policy.validityMs),
    findings,
  };
}

async function gather({ policy, source, vault, journal, clock }: PlanOptions): Promise<PlanFacts> {
  const { secret } = policy;
  const now = clock.now();
  const withValue = await looked(() => vault.current(secret));
  const versions = await looked(() => vault.versions(secret));
  const open = await looked(() => journal.openRotation(secret));
  const known = both(withValue, versions);
  const rotation = await after(known, ([current, all]) =>
    planned({
      vault: vault.url,
      secret,
      current,
      versions: all,
      open: 'seen' in open ? open.seen : undefined,
    }),
  );
  const replaced = await after(both(rotation, versions), ([{ from }, all]) => versionOf(from, all));
  const live = await looked(() => source.list());
  const ref = await after(
    both(replaced, live),
    ([version, refs]) => whichCredential({ secret, kind: source.kind, version, live: refs }).ref,
  );
  return {
    policy,
    now,
    current: await after(withValue, withoutValue),
    versions,
    update: await after(versions, () => tryUpdate(vault, secret)),
    open,
    rotation,
    start: await after(both(both(rotation, replaced), withValue), async ([[requested, old], current]) =>
      startFacts({
        policy,
        requested,
        current,
        replaced: old,
        others: [], // what is under way is joined
        currentAuthenticates: await authenticates(source, current.value),
        now,
      }),
    ),
    ref,
    others: await after(both(live, ref), ([refs, old]) =>
      Promise.all(
        refs.filter((one) => one !== old).map(async (one) => ({ ref: one, usage: await source.usage(one) })),
      ),
    ),
    ...(await inspected(source, ref)),
    instances: await looked(() => journal.instances(secret)),
  };
}

async function inspected(source: Source, ref: Looked<CredentialRef>): Promise<Pick<PlanFacts, 'inspection'>> {
  if (!source.inspect) return {};
  const current = 'seen' in ref ? ref.seen : undefined;
  return { inspection: await looked(async () => source.inspect?.({ current, rotations: [] }) ?? nothing) };
}

const nothing: Inspection = { findings: [], issued: [] };

/** A rotation that the journal holds goes before what the vault says: it may not have published yet. */
function planned(at: {
  readonly vault: string;
  readonly secret: string;
  readonly current: VaultVersion;
  readonly versions: readonly VaultVersion[];
  readonly open: OpenRotation | undefined;
}): PlannedRotation {
  const { open, current } = at;
  if (open) return { id: open.id, from: replacedVersion(open.id), as: open.attended ? 'join' : 'resume' };
  const { id, from } = whichRotation(at);
  return { id, from, as: from === current.version ? 'start' : 'resume' };
}

/**
 * The vault asks for the right before it looks for the version, so an update of one that doesn't exist shows the
 * right: 403 without it, 404 with it.
 */
async function tryUpdate(vault: Vault, secret: string): Promise<'allowed'> {
  try {
    await vault.tag(secret, noSuchVersion, {});
  } catch (error) {
    if (error instanceof RotatorError && error.code === 'VAULT_NO_SECRET') return 'allowed';
    throw error;
  }
  throw new RotatorError('VAULT_UNEXPECTED', 'The vault let a version be updated that does not exist.');
}

const noSuchVersion = '0'.repeat(32);

function versionOf(version: string, versions: readonly VaultVersion[]): VaultVersion {
  const found = versions.find((one) => one.version === version);
  if (found) return found;
  throw new RotatorError('VAULT_UNEXPECTED', `Version ${version} is not in the vault.`, {
    hint: 'See whether the secret was deleted and made anew, or the vault in the configuration is another one.',
  });
}

function withoutValue(found: VaultVersion): VaultVersion {
  const { version, enabled, createdAt, expiresAt, tags, peoplesTags } = found;
  return {
    version,
    enabled,
    createdAt,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    tags,
    peoplesTags,
  };
}
