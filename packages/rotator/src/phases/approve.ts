import type { Run } from '../journal/run.ts';
import { isSame, type GivenOrder } from '../order.ts';
import type { Rotation } from '../rotation.ts';
import { RotatorError } from '../rotator-error.ts';

/** One durable wait; the next one follows. */
const waitMs = 7 * 86_400_000;

/**
 * Where the policy asks for a second person: waits, however long it takes, until somebody else than who asked for the
 * rotation has agreed. An emergency doesn't wait.
 */
export async function approve(run: Run, rotation: Rotation): Promise<void> {
  const { policy, request, report } = rotation;
  if (!policy.needsApproval || request === undefined || request.compromised) return;
  await run.step('approve', async () => {
    report({ kind: 'phase', phase: 'approve' });
    report({ kind: 'awaiting approval', request });
  });
  for (;;) {
    const given = await run.signal<GivenOrder>('operator', waitMs);
    if (given === undefined) continue;
    report({ kind: 'order', given });
    if (given.order === 'approve' && !isSame(given, request)) return;
    if (given.order === 'abort') await run.step('approve', () => Promise.reject(aborted(rotation, given)));
  }
}

/** The rotation ends where it is: both credentials go on, and it is resumed when it is asked for again. */
export function aborted({ secret }: Rotation, { who, why }: GivenOrder): RotatorError {
  return new RotatorError('ABORTED', `${who} aborted the rotation of ${secret}: ${why}`, {
    hint: 'Nothing was revoked. Ask for it again to resume it.',
  });
}
