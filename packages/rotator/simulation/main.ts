// npm run simulate -- [--seeds N] [--seed S] [--mutants] [--json]: see docs/simulation.md.
// Exit codes: 0 nothing was broken (or, with --mutants, every mutant was caught), 1 something was, 2 wrong arguments.
import { parseArgs } from 'node:util';
import { mutants } from './mutants.ts';
import { drawScenario } from './scenario.ts';
import { runSeeds, type Summary } from './seeds.ts';
import { live } from './world.ts';

interface Options {
  readonly seeds: number;
  readonly json: boolean;
}

async function main(): Promise<void> {
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1)); // `| head`
  const { seeds, seed, mutants: sabotaged, json } = readArguments();
  if (seed !== undefined) await tellStory(seed, { json });
  else if (sabotaged) await tryMutants({ seeds, json });
  else await simulate({ seeds, json });
}

function readArguments(): Options & { readonly seed: number | undefined; readonly mutants: boolean } {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '10000' },
      seed: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const whole = (name: string, text: string): number => {
    if (/^\d{1,12}$/.test(text)) return Number(text);
    throw new Error(`--${name} takes a whole number, not ${JSON.stringify(text)}.`);
  };
  return {
    ...values,
    seeds: whole('seeds', values.seeds),
    seed: values.seed === undefined ? undefined : whole('seed', values.seed),
  };
}

async function simulate({ seeds, json }: Options): Promise<void> {
  const summary = await runSeeds({ seeds, progress: progress('seeds', seeds) });
  if (summary.broken.length > 0) process.exitCode = 1;
  if (json) return print(JSON.stringify(summary));
  for (const [what, times] of Object.entries(summary.counts))
    print(`${grouped(times).padStart(14)}  ${what}`);
  print('');
  print(inWords(summary));
  for (const { seed, broken } of summary.broken.slice(0, 10)) print(`seed ${seed}: ${broken}`);
  const [first] = summary.broken;
  if (first) print(`Its story: npm run simulate -- --seed ${first.seed}`);
}

function inWords({ seeds, events, broken, elapsedMs }: Summary): string {
  const found = broken.length === 0 ? 'nothing was broken' : `${grouped(broken.length)} were broken`;
  return `${grouped(seeds)} seeds, ${grouped(events)} events in ${(elapsedMs / 1_000).toFixed(1)} s: ${found}.`;
}

async function tellStory(seed: number, { json }: { readonly json: boolean }): Promise<void> {
  const scenario = drawScenario(seed);
  const { broken, story, events } = await live(seed, { told: true });
  if (broken !== undefined) process.exitCode = 1;
  if (json) return print(JSON.stringify({ seed, scenario, events, story, broken: broken ?? null }));
  print(`Seed ${seed}: ${JSON.stringify(scenario, null, 2)}\n`);
  for (const line of story) print(line);
  print(`\n${grouped(events)} events. ${broken === undefined ? 'Nothing was broken.' : `Broken: ${broken}`}`);
}

async function tryMutants({ seeds, json }: Options): Promise<void> {
  const rows = [];
  for (const mutant of mutants) {
    const { broken } = await runSeeds({ seeds, mutant, untilBroken: true });
    const [first] = broken;
    rows.push({
      mutant: mutant.name,
      file: mutant.file,
      seed: first?.seed ?? null,
      caughtAs: first?.broken ?? null,
    });
    const caught = first ? `seed ${grouped(first.seed)}`.padEnd(11) : 'NOT CAUGHT ';
    if (!json)
      print(`${caught}  ${mutant.name} (${mutant.file})${first ? `\n             ${first.broken}` : ''}`);
  }
  const missed = rows.filter(({ seed }) => seed === null).length;
  if (missed > 0) process.exitCode = 1;
  print(json ? JSON.stringify(rows) : `\n${rows.length - missed} of ${rows.length} mutants were caught.`);
}

/** On a terminal: how far it is. */
function progress(what: string, all: number): (done: number) => void {
  if (!process.stderr.isTTY) return () => undefined;
  return (done) => {
    process.stderr.write(`\r${grouped(done)} of ${grouped(all)} ${what}`);
    if (done === all) process.stderr.write('\r\u001b[K');
  };
}

const grouped = (number: number): string => number.toLocaleString('en-US');

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
