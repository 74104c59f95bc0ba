import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Mutant } from './mutants.ts';
import type { Portion, PortionResult } from './worker.ts';

/** What became of many seeds. */
export interface Summary {
  readonly seeds: number;
  readonly events: number;
  /** What happened how often in all of them. */
  readonly counts: Readonly<Record<string, number>>;
  /** Lowest seed first. */
  readonly broken: readonly { readonly seed: number; readonly broken: string }[];
  readonly elapsedMs: number;
}

const portion = 100;

/** Lives through seeds 1 to `seeds`, on every processor; up to the first that is broken if `untilBroken`. */
export async function runSeeds(at: {
  readonly seeds: number;
  readonly mutant?: Mutant;
  readonly untilBroken?: boolean;
  readonly progress?: (done: number) => void;
}): Promise<Summary> {
  const { seeds, mutant, untilBroken = false, progress = () => undefined } = at;
  const startedAt = performance.now();
  const results: PortionResult[] = [];
  let next = 1;
  let done = 0;
  const isOver = (): boolean =>
    next > seeds || (untilBroken && results.some(({ broken }) => broken.length > 0));

  async function work(): Promise<void> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: { mutant } });
    try {
      while (!isOver()) {
        const count = Math.min(portion, seeds - next + 1);
        const asked: Portion = { from: next, count };
        next += count;
        results.push(await answer(worker, asked));
        done += count;
        progress(done);
      }
    } finally {
      await worker.terminate();
    }
  }

  const processors = Math.min(availableParallelism(), Math.ceil(seeds / portion));
  await Promise.all(Array.from({ length: processors }, work));
  return { ...sum(results), elapsedMs: Math.round(performance.now() - startedAt) };
}

function answer(worker: Worker, asked: Portion): Promise<PortionResult> {
  const { promise, resolve, reject } = Promise.withResolvers<PortionResult>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.postMessage(asked);
  return promise.finally(() => worker.off('message', resolve).off('error', reject));
}

function sum(results: readonly PortionResult[]): Omit<Summary, 'elapsedMs'> {
  const counts = new Map<string, number>();
  for (const [what, times] of results.flatMap((one) => one.counts))
    counts.set(what, (counts.get(what) ?? 0) + times);
  return {
    seeds: results.reduce((all, one) => all + one.seeds, 0),
    events: results.reduce((all, one) => all + one.events, 0),
    counts: Object.fromEntries([...counts].toSorted(([one], [other]) => (one < other ? -1 : 1))),
    broken: results.flatMap((one) => one.broken).toSorted((one, other) => one.seed - other.seed),
  };
}
