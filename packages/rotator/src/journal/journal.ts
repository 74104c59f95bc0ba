import { DBOS } from '@dbos-inc/dbos-sdk';
import type { RotationId } from '@keyturn/source';
import type { Phase } from '../events.ts';
import type { Requested } from '../policy/which-rotation.ts';
import type { Outcome, Rotation } from '../rotation.ts';
import { lockExecutor } from './executor-lock.ts';
import { withRetries } from './retries.ts';
import type { Json, Run, Signal } from './run.ts';

/** The durable engine: what it has begun is finished, in this process or in a later one. */
export interface Journal {
  /** Starts this rotation, joins it if it runs, resumes it if it stopped half-way. One runs at a time, whoever asks. */
  run(request: Requested): Promise<Outcome>;
  /** The rotation of a secret that was begun and has not ended, if there is one. */
  unfinished(secret: string): Promise<Requested | undefined>;
  /** Says something to an open rotation. */
  tell(id: RotationId, signal: Signal, message: string): Promise<void>;
  /** Lets a step that changes things finish, then stops; open rotations stay resumable. */
  close(): Promise<void>;
}

export interface JournalOptions {
  /** A PostgreSQL database; Keyturn keeps its tables in the schemas `dbos` and `keyturn`. */
  readonly url: string;
  /** Names this rotator. Two processes of one name would run a step twice at once, so the second is refused. */
  readonly executorId: string;
  readonly runbook: (run: Run, rotation: Rotation) => Promise<Outcome>;
  /** Fetches what a rotation needs besides its name: nothing of that can be kept in a journal. */
  readonly rotation: (request: Requested) => Rotation;
}

/** A held rotation waits for weeks, and each restart on the way counts as a recovery. */
const maxRecoveryAttempts = 1_000_000;
const workflowName = 'rotation';
const closeTimeoutMs = 20_000;

export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { url, executorId, runbook, rotation } = options;
  const unlock = await lockExecutor(url, executorId);
  const running = new Set<Promise<unknown>>();
  let closing = false;

  const workflow = DBOS.registerWorkflow(
    async (request: Requested): Promise<Outcome> => {
      const about = rotation(request);
      return runbook(durableRun(about), about);
    },
    { name: workflowName, maxRecoveryAttempts },
  );

  function durableRun(about: Rotation): Run {
    return {
      id: about.id,
      step: (name, action) => DBOS.runStep(() => track(name, () => attempt(about, name, action)), { name }),
      sleep: (ms) => DBOS.sleep(ms),
      signal: async <T extends Json>(name: Signal, withinMs: number) =>
        (await DBOS.recv<T>(name, withinMs / 1_000)) ?? undefined,
    };
  }

  function attempt<T>(about: Rotation, phase: Phase, action: () => Promise<T>): Promise<T> {
    const { clock, report, policy } = about;
    const forMs = phase === 'preflight' ? 0 : policy.retryForMs;
    const parkable = { ...clock, sleep: (ms: number) => (closing ? parked() : clock.sleep(ms)) };
    return withRetries(action, { phase, forMs, clock: parkable, report });
  }

  /** While closing no step begins; those that change nothing are left where they are. */
  async function track<T>(phase: Phase, step: () => Promise<T>): Promise<T> {
    if (closing) return parked();
    const done = step();
    if (phase === 'converge') return done;
    running.add(done);
    return done.finally(() => running.delete(done));
  }

  DBOS.setConfig({
    name: 'keyturn',
    systemDatabaseUrl: url,
    executorID: executorId,
    enablePatching: true,
    logger: { info: ignore, debug: ignore, warn: ignore, error: ignore },
  });
  await DBOS.launch();

  const attemptId = (id: RotationId, number: number) => (number === 1 ? id : `${id}/${number}`);

  /** An attempt that failed hears nothing any more. */
  async function latestAttempt(id: RotationId): Promise<string> {
    for (let number = 1; ; number += 1) {
      if ((await DBOS.getWorkflowStatus(attemptId(id, number + 1))) === null) return attemptId(id, number);
    }
  }

  return {
    async run(request) {
      for (let attemptNumber = 1; ; attemptNumber += 1) {
        const workflowID = attemptId(request.id, attemptNumber);
        const status = await DBOS.getWorkflowStatus(workflowID);
        if (status === null) {
          const handle = await DBOS.startWorkflow(workflow, { workflowID })(request);
          return handle.getResult();
        }
        // A run that failed for good is over; the next one finds what it left by looking at vault and source.
        const failed = status.status === 'ERROR' || status.status === 'CANCELLED';
        if (!failed) return DBOS.retrieveWorkflow<Outcome>(workflowID).getResult();
      }
    },
    async unfinished(secret) {
      const [open] = await DBOS.listWorkflows({
        workflowName,
        workflow_id_prefix: `${secret}@`,
        status: ['PENDING', 'ENQUEUED', 'DELAYED'],
        loadOutput: false,
      });
      return open?.input?.[0] as Requested | undefined;
    },
    tell: async (id, signal, message) => DBOS.send(await latestAttempt(id), message, signal),
    async close() {
      closing = true;
      await Promise.race([
        Promise.allSettled(running),
        new Promise((resolve) => setTimeout(resolve, closeTimeoutMs).unref()),
      ]);
      await DBOS.shutdown({ deregister: true });
      await unlock();
    },
  };
}

/** Never settles: a step that is abandoned here leaves no trace, so the next process runs it again. */
function parked(): Promise<never> {
  return new Promise(() => undefined);
}

function ignore(): void {}
