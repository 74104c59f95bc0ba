import { parentPort, workerData } from 'node:worker_threads';
import type { Mutant } from './mutants.ts';
import { sabotage } from './sabotage.ts';

/** Some seeds in a row. */
export interface Portion {
  readonly from: number;
  readonly count: number;
}

/** What became of a portion. */
export interface PortionResult {
  readonly seeds: number;
  readonly events: number;
  readonly counts: readonly (readonly [what: string, times: number])[];
  readonly broken: readonly { readonly seed: number; readonly broken: string }[];
}

const { mutant } = workerData as { readonly mutant?: Mutant };
if (mutant) sabotage(mutant);
const { live } = await import('./world.ts');

parentPort?.on(
  'message',
  (portion: Portion) => void run(portion).then((result) => parentPort?.postMessage(result)),
);

async function run({ from, count }: Portion): Promise<PortionResult> {
  const counts = new Map<string, number>();
  const broken: { seed: number; broken: string }[] = [];
  let events = 0;
  for (let seed = from; seed < from + count; seed += 1) {
    const one = await live(seed);
    events += one.events;
    for (const [what, times] of one.counts) counts.set(what, (counts.get(what) ?? 0) + times);
    if (one.broken !== undefined) broken.push({ seed, broken: one.broken });
  }
  return { seeds: count, events, counts: [...counts], broken };
}
