import type { Run } from './journal/run.ts';
import { announce } from './phases/announce.ts';
import { approve } from './phases/approve.ts';
import { converge, type Convergence } from './phases/converge.ts';
import { issueProveAndPublish, undoIssue } from './phases/issue.ts';
import { preflight, type Old } from './phases/preflight.ts';
import { revoke } from './phases/revoke.ts';
import { publishOldValue } from './phases/roll-back.ts';
import { verify } from './phases/verify.ts';
import type { Outcome, Published, Rotation } from './rotation.ts';

/**
 * Rotates a secret without an outage. Each phase is a durable step: after a crash the run goes on where it was,
 * and the phase that was under way starts again by looking at the real state of the vault and the source.
 */
export async function rotate(run: Run, rotation: Rotation): Promise<Outcome> {
  await approve(run, rotation);
  const old = await run.step('preflight', () => preflight(rotation));

  const fresh = await issue(run, rotation, old);
  if (old.rolledBack) return rollBack(run, rotation, { old, fresh, why: 'it was being rolled back before' });
  await run.step('announce', () => announce(rotation, fresh));

  const convergence = await converge(run, rotation, { to: fresh, leaving: old.ref });
  const verdict = await run.step('verify', () => verify(rotation, fresh, convergence));
  if (verdict.rejected !== undefined) return rollBack(run, rotation, { old, fresh, why: verdict.rejected });

  const revoked = await run.step('revoke', () => revoke(rotation, { version: rotation.from, ref: old.ref }));
  return close(run, rotation, { to: fresh, revokedVersion: rotation.from, revoked, convergence, ...verdict });
}

/** One step, because the value must not reach the journal. If it fails for good, what it made is taken back. */
async function issue(run: Run, rotation: Rotation, old: Old): Promise<Published> {
  try {
    return await run.step('issue', () => issueProveAndPublish(rotation, old));
  } catch (error) {
    await run.step('roll back', () => undoIssue(rotation, old));
    throw error;
  }
}

/** The old credential still lives: make its value current again, wait for everyone, end the new one. */
async function rollBack(
  run: Run,
  rotation: Rotation,
  at: { old: Old; fresh: Published; why: string },
): Promise<Outcome> {
  rotation.report({ kind: 'rejected', reason: at.why });
  const back = await run.step('roll back', () => publishOldValue(rotation, at.old));
  await run.step('announce', () => announce(rotation, back));
  const convergence = await converge(run, rotation, { to: back, leaving: at.fresh.ref });
  const revoked = await run.step('revoke', () => revoke(rotation, at.fresh));
  return close(run, rotation, { to: back, revokedVersion: at.fresh.version, revoked, convergence });
}

async function close(
  run: Run,
  rotation: Rotation,
  at: {
    to: Published;
    revokedVersion: string;
    revoked: { readonly at: number };
    convergence: Convergence;
    notChecked?: readonly string[];
  },
): Promise<Outcome> {
  const { to, revokedVersion, revoked, convergence, notChecked = [] } = at;
  return run.step('close', async () => {
    rotation.report({ kind: 'phase', phase: 'close' });
    const outcome: Outcome = {
      id: rotation.id,
      secret: rotation.secret,
      outcome: revokedVersion === rotation.from ? 'closed' : 'rolled back',
      version: to.version,
      revokedVersion,
      oldCredentialRefused: true,
      overlapMs: revoked.at - to.publishedAt,
      convergedMs: convergence.at - to.publishedAt,
      notChecked: [...convergence.notChecked, ...notChecked],
      ...(convergence.proceeded ? { proceeded: convergence.proceeded } : {}),
    };
    rotation.report({ kind: 'ended', outcome });
    return outcome;
  });
}
