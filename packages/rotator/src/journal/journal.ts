import { DBOS, type WorkflowHandle } from '@dbos-inc/dbos-sdk';
import type { RotationId } from '@keyturn/source';
import type { Phase } from '../events.ts';
import { systemClock, type Clock } from '../clock.ts';
import type { GivenOrder } from '../order.ts';
import type { Requested } from '../policy/which-rotation.ts';
import type { Outcome, Rotation } from '../rotation.ts';
import { databaseError } from './database-error.ts';
import { lockExecutor } from './executor-lock.ts';
import { fenced } from './fence.ts';
import { toJournalError } from './journal-error.ts';
import type { JournalUrl } from './journal-url.ts';
import { enginePool, launch } from './launch.ts';
import { countReplicas } from './replicas.ts';
import { withRetries } from './retries.ts';
import type { Json, Run, Signal } from './run.ts';
import { takeOverTheDead, type TakenOver } from './takeover.ts';

/**
 * The durable engine: what it has begun is finished, in this process or in a later one. Once the lock of this
 * rotator is lost it begins no further step, and whatever waits for it ends with `JOURNAL` or `BUSY`.
 */
export interface Journal {
  /** Rejects once the lock of this rotator is lost. */
  readonly lost: Promise<never>;
  /** The same as `run`, and resolves as soon as it is sure to happen. */
  start(request: Requested): Promise<void>;
  /** Starts this rotation, joins it if it runs, resumes it if it stopped half-way. One runs at a time, whoever asks. */
  run(request: Requested): Promise<Outcome>;
  /** The rotations of a secret that were begun and have not ended: more than one for a moment at most. */
  unfinished(secret: string): Promise<readonly Requested[]>;
  /** Says something to a rotation; one that has ended doesn't hear it. */
  tell(id: RotationId, order: GivenOrder): Promise<void>;
  /** Drops what the engine remembers of a rotation that has ended. */
  forget(id: RotationId): Promise<void>;
  /** Lets a step that changes things finish, then stops; open rotations stay resumable. */
  close(): Promise<void>;
}

export interface JournalOptions {
  /** A PostgreSQL database; Keyturn keeps its tables in the schemas `dbos` and `keyturn`. */
  readonly url: JournalUrl;
  /** The URL of the vault whose rotations these are: those of another one in the same journal are left alone. */
  readonly vault: string;
  /**
   * Names this rotator among those that share the database. Two processes of one name would run a step twice at once,
   * so the second is refused. The rotations of one that died are gone on with here.
   */
  readonly executorId: string;
  readonly runbook: (run: Run, rotation: Rotation) => Promise<Outcome>;
  /** Fetches what a rotation needs besides its name: nothing of that can be kept in a journal. */
  readonly rotation: (request: Requested) => Rotation;
  /** Hears of each rotation of a rotator that died as it is gone on with. */
  readonly tookOver?: (taken: TakenOver) => void;
  /** Hears how many rotators live on this vault, this one included: at first, and when that changes. */
  readonly counted?: (live: number) => void;
  /** For tests; default the machine's clock. */
  readonly clock?: Clock;
}

/** A held rotation waits for weeks, and each restart on the way counts as a recovery. */
const maxRecoveryAttempts = 1_000_000;
const workflowName = 'rotation';
const closeTimeoutMs = 20_000;

export async function openJournal(options: JournalOptions): Promise<Journal> {
  const {
    url,
    vault,
    executorId,
    runbook,
    rotation,
    clock = systemClock,
    tookOver = ignore,
    counted = ignore,
  } = options;
  const lock = await lockExecutor(url, executorId);
  const pool = enginePool(url);
  const running = new Set<Promise<unknown>>();
  let closing = false;

  const workflow = DBOS.registerWorkflow(
    async (request: Requested): Promise<Outcome> => {
      const about = fenced(rotation(request), mayAct);
      return runbook(durableRun(about), about).catch((error: unknown) => {
        const { code, message, hint } = toJournalError(error);
        about.report({ kind: 'failed', code, message, ...(hint === undefined ? {} : { hint }) });
        throw error;
      });
    },
    { name: workflowName, maxRecoveryAttempts },
  );

  function durableRun(about: Rotation): Run {
    return {
      id: about.id,
      step: (name, action) => DBOS.runStep(() => attempt(about, name, action), { name }),
      signal: async <T extends Json>(name: Signal, withinMs: number) =>
        (await DBOS.recv<T>(name, withinMs / 1_000)) ?? undefined,
    };
  }

  function attempt<T>(about: Rotation, phase: Phase, action: () => Promise<T>): Promise<T> {
    const { report, policy } = about;
    const forMs = phase === 'preflight' ? 0 : policy.retryForMs;
    return withRetries(() => begin(phase, action), { phase, forMs, clock: about.clock, report });
  }

  async function mayAct(): Promise<void> {
    if (!(await lock.isHeld())) return parked();
  }

  /** While closing nothing begins; what changes nothing is left where it is. */
  async function begin<T>(phase: Phase, action: () => Promise<T>): Promise<T> {
    if (closing) return parked();
    await mayAct();
    if (closing) return parked();
    const done = action();
    if (phase === 'converge') return done;
    running.add(done);
    return done.finally(() => running.delete(done));
  }

  const attemptId = (id: RotationId, number: number) => `${vault} ${id}${number === 1 ? '' : `/${number}`}`;

  /** An attempt that failed hears nothing any more. */
  async function latestAttempt(id: RotationId): Promise<string> {
    for (let number = 1; ; number += 1) {
      if ((await DBOS.getWorkflowStatus(attemptId(id, number + 1))) === null) return attemptId(id, number);
    }
  }

  /** The latest first: whoever counts attempts meanwhile meets no gap. */
  async function forget(id: RotationId): Promise<void> {
    for (;;) {
      const latest = await latestAttempt(id);
      await DBOS.deleteWorkflow(latest);
      if (latest === attemptId(id, 1)) return;
    }
  }

  async function begun(request: Requested): Promise<WorkflowHandle<Outcome>> {
    for (let attemptNumber = 1; ; attemptNumber += 1) {
      const workflowID = attemptId(request.id, attemptNumber);
      const status = await DBOS.getWorkflowStatus(workflowID);
      if (status === null) return DBOS.startWorkflow(workflow, { workflowID })(request);
      // A run that failed for good is over; the next one finds what it left by looking at vault and source.
      const failed = status.status === 'ERROR' || status.status === 'CANCELLED';
      if (!failed) return DBOS.retrieveWorkflow<Outcome>(workflowID);
    }
  }

  async function start(request: Requested): Promise<WorkflowHandle<Outcome>> {
    const handle = await begun(request);
    handle.getResult().catch(() => undefined); // how it ends is told as an event
    return handle;
  }

  async function unfinished(secret: string): Promise<readonly Requested[]> {
    const open = await DBOS.listWorkflows({
      workflowName,
      workflow_id_prefix: attemptId(`${secret}@`, 1),
      status: ['PENDING', 'ENQUEUED', 'DELAYED'],
      loadOutput: false,
    });
    return open.flatMap(({ input }) => (input?.[0] as Requested | undefined) ?? []);
  }

  async function shutDown(): Promise<void> {
    try {
      await within(
        closeTimeoutMs,
        DBOS.shutdown({ deregister: true }).then(() => pool?.end()),
      );
    } finally {
      await lock.release();
    }
  }

  async function undone(error: unknown): Promise<never> {
    await shutDown();
    throw databaseError(error);
  }

  const stopCounting = await countReplicas({ vault, lock, clock, counted }).catch(undone);
  await launch({ url, pool, executorId, vault, lock }).catch(undone);
  const stopTakingOver = takeOverTheDead({ vault, executorId, lock, clock, tookOver });
  // The engine waits for its database for ever; whoever waits for the engine is told when the lock is gone.
  const orLost = <T>(waiting: Promise<T>) => Promise.race([waiting, lock.lost]);
  return {
    lost: lock.lost,
    start: async (request) => void (await orLost(start(request))),
    run: (request) => orLost(begun(request).then((handle) => handle.getResult())),
    unfinished: (secret) => orLost(unfinished(secret)),
    tell: async (id, order) =>
      orLost(latestAttempt(id).then((attemptOf) => DBOS.send(attemptOf, order, 'operator'))),
    forget: (id) => orLost(forget(id)),
    async close() {
      closing = true;
      stopCounting();
      stopTakingOver();
      // Without the lock a step stops before its next change, and never ends.
      const stopped = Promise.race([Promise.allSettled(running), lock.lost.catch(ignore)]);
      await within(closeTimeoutMs, stopped);
      await shutDown();
    },
  };
}

/** Never settles: a step that is abandoned here leaves no trace, so the next process runs it again. */
function parked(): Promise<never> {
  return new Promise(() => undefined);
}

async function within(ms: number, waiting: Promise<unknown>): Promise<void> {
  const timer = Promise.withResolvers<void>();
  const timeout = setTimeout(timer.resolve, ms);
  await Promise.race([waiting, timer.promise]);
  clearTimeout(timeout);
}

function ignore(): void {}
