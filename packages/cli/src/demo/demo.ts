import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { contenderNames, type ContenderName, type Course } from './course.ts';
import { startInstance, type RunningInstance } from './instance.ts';
import { startLoad } from './load.ts';
import { openRecorder, type Recorder } from './recorder.ts';
import { startRunbookRotation } from './runbook-rotation.ts';
import { buildStage, ttlMs, type Stage } from './stage.ts';

const instancesEach = 3;
const warmUpMs = 3_000;
const afterMs = 2_000;

/** What a demo has shown. */
export interface DemoResult {
  readonly course: Course;
  /** What the source answered to the old credential after it was revoked: an SQLSTATE. */
  readonly oldCredentialAnswer: string | undefined;
}

/** Sets the three ways side by side under the same load, rotates all at one moment, and watches. */
export async function runDemo(options: {
  watch: (course: Course) => void;
  interrupted: Promise<unknown>;
  /** Called before the servers are ended, for whoever wants to look behind the scenes. */
  inspect?: ((stage: Stage) => Promise<void>) | undefined;
}): Promise<DemoResult | 'interrupted'> {
  const { watch, interrupted, inspect = async () => undefined } = options;
  const cleanUps: (() => Promise<void>)[] = [];
  const recorder = openRecorder(() => Date.now());
  const drawing = setInterval(() => watch(recorder.course()), 200);
  const ending = new AbortController();
  void interrupted.then(() => ending.abort());
  try {
    return await play({ recorder, cleanUps, inspect, signal: ending.signal });
  } catch (error) {
    if (ending.signal.aborted) return 'interrupted';
    throw error;
  } finally {
    clearInterval(drawing);
    for (const undo of cleanUps.splice(0).toReversed()) await undo();
  }
}

/** Whatever it starts it has registered with `cleanUps` before it ends, also when it is interrupted. */
async function play(at: {
  recorder: Recorder;
  cleanUps: (() => Promise<void>)[];
  inspect: (stage: Stage) => Promise<void>;
  signal: AbortSignal;
}): Promise<DemoResult> {
  const { recorder, cleanUps, inspect, signal } = at;
  recorder.doing('starting PostgreSQL and the local Key Vault');
  const stage = await buildStage();
  cleanUps.push(() => stage.close());
  signal.throwIfAborted();

  recorder.doing(`starting ${contenderNames.length * instancesEach} applications`);
  const instances = await allOfThem(
    contenderNames.map((name) => startContender(name, { stage, recorder, cleanUps })),
  );
  recorder.beginNow();
  const loads = instances.flat().map(({ name, instance }) => startLoad(name, instance, recorder));
  cleanUps.push(...loads.map((load) => () => load.stop()));
  const oldUrl = await stage.value('orders-db');

  recorder.doing('warming up');
  await sleep(warmUpMs, undefined, { signal });

  recorder.doing('rotating all three');
  const usualWays = Promise.withResolvers<void>();
  usualWays.promise.catch(() => undefined); // awaited below, when the rotation has ended
  const rotation = startRunbookRotation(stage, 'orders-db', (record) => {
    recorder.rotation(record);
    if (record.kind === 'phase' && record.phase === 'issue')
      usualWays.resolve(rotateTheUsualWays(stage, recorder));
  });
  cleanUps.push(() => rotation.stop());
  await Promise.race([rotation.outcome, once(signal, 'abort')]);
  signal.throwIfAborted();
  await usualWays.promise;

  recorder.doing('trying the old credential');
  const oldCredentialAnswer = await stage.logIn(oldUrl);
  if (oldCredentialAnswer !== undefined && refusals.has(oldCredentialAnswer)) recorder.oldCredentialRefused();
  await sleep(afterMs, undefined, { signal });
  await Promise.all(loads.map((load) => load.stop()));
  recorder.doing('done');
  await inspect(stage);
  return { course: recorder.course(), oldCredentialAnswer };
}

/** Waits for all of them even if one fails, so that none is left that nobody knows of. */
async function allOfThem<T>(starting: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(starting);
  return Promise.all(starting);
}

/** invalid_password, invalid_authorization_specification */
const refusals = new Set(['28P01', '28000']);

async function rotateTheUsualWays(stage: Stage, recorder: Recorder): Promise<void> {
  recorder.allRotated();
  await Promise.all([
    stage.rotateInPlace('orders_env', 'orders-db-env'),
    stage.rotateInPlace('orders_cache', 'orders-db-cache'),
  ]);
}

async function startContender(
  name: ContenderName,
  at: { stage: Stage; recorder: Recorder; cleanUps: (() => Promise<void>)[] },
): Promise<{ readonly name: ContenderName; readonly instance: RunningInstance }[]> {
  const { stage, recorder, cleanUps } = at;
  const settings = await settingsOf(name, stage);
  const start = async (n: number): Promise<RunningInstance> => {
    const instance = await startInstance(`${shortName[name]}-${n}`, settings);
    cleanUps.push(() => instance.stop());
    recorder.addInstance(name, instance.name);
    return instance;
  };
  const instances = await allOfThem(Array.from({ length: instancesEach }, (_, index) => start(index + 1)));
  return instances.map((instance) => ({ name, instance }));
}

const shortName: Record<ContenderName, string> = {
  'environment variable': 'env',
  'cache, no overlap': 'cache',
  keyturn: 'keyturn',
};

async function settingsOf(name: ContenderName, stage: Stage): Promise<Record<string, string>> {
  const common = { CONTENDER: name, VAULT_URL: stage.vaultUrl, TTL_MS: String(ttlMs) };
  switch (name) {
    case 'environment variable':
      return { ...common, DATABASE_URL: await stage.value('orders-db-env') };
    case 'cache, no overlap':
      return { ...common, ...stage.environment, SECRET: 'orders-db-cache' };
    case 'keyturn':
      return {
        ...common,
        ...stage.environment,
        SECRET: 'orders-db',
        ROTATOR_URL: stage.rotatorUrl,
        CONSUMER: 'orders-api',
      };
  }
}
