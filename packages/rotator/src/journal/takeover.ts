import { DBOS } from '@dbos-inc/dbos-sdk';
import type { RotationId } from '@keyturn/source';
import type { Clock } from '../clock.ts';
import { answerTimeoutMs, type ExecutorLock } from './executor-lock.ts';

export interface TakenOver {
  readonly rotation: RotationId;
  /** The name of the rotator that is gone. */
  readonly from: string;
}

/**
 * A rotator that is cut off from the database notices within `answerTimeoutMs`, and begins nothing from then on.
 * What it had begun by then gets as long again to arrive.
 */
const graceMs = 1.5 * answerTimeoutMs;
const lookEveryMs = 2_000;

/**
 * Goes on with the rotations of rotators that died: those whose name has been free for a while, and who have
 * rotations under way. Returns what stops it.
 */
export function takeOverTheDead(at: {
  readonly vault: string;
  readonly executorId: string;
  readonly lock: ExecutorLock;
  readonly clock: Clock;
  readonly tookOver: (taken: TakenOver) => void;
}): () => void {
  const { vault, lock, clock, tookOver } = at;
  const freeSince = new Map<string, number>();
  let stopped = false;

  async function look(): Promise<void> {
    const open = await openRotations(at);
    for (const executorId of freeSince.keys()) if (!open.has(executorId)) freeSince.delete(executorId);
    for (const [executorId, workflowIds] of open) {
      if (!(await lock.isFree(executorId))) {
        freeSince.delete(executorId);
        continue;
      }
      const since = freeSince.get(executorId) ?? clock.now();
      freeSince.set(executorId, since);
      if (clock.now() - since < graceMs) continue;
      // Held meanwhile, so that a rotator of that name which starts at this moment doesn't begin the same.
      await lock.whileFree(executorId, async () => {
        for (const workflowId of workflowIds) {
          await DBOS.resumeWorkflow(workflowId);
          tookOver({ rotation: rotationOf(workflowId, vault), from: executorId });
        }
      });
    }
  }

  async function watch(): Promise<void> {
    while (!stopped) {
      await look().catch(() => undefined); // the database is away; the next look may find it
      await clock.sleep(lookEveryMs);
    }
  }

  void watch();
  return () => {
    stopped = true;
  };
}

/** The engine knows a rotation by its vault, its id and which attempt it is. */
function rotationOf(workflowId: string, vault: string): RotationId {
  return workflowId.slice(vault.length + 1).replace(/\/\d+$/, '');
}

/** The rotations under way at other rotators, by the name of the rotator. */
async function openRotations(at: { vault: string; executorId: string }): Promise<Map<string, string[]>> {
  const open = await DBOS.listWorkflows({
    status: 'PENDING',
    applicationVersion: at.vault,
    loadInput: false,
    loadOutput: false,
  });
  const byExecutor = new Map<string, string[]>();
  for (const { executorId = '', workflowID } of open) {
    if (executorId === at.executorId) continue;
    byExecutor.set(executorId, [...(byExecutor.get(executorId) ?? []), workflowID]);
  }
  return byExecutor;
}
