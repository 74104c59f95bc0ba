import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { contenders } from './client/contenders.ts';
import { announceToFleet } from './client/fleet.ts';

// `npm run bench:client`: what the client costs and how it behaves, beside what an application would take instead.
// Exits with 1 if a goal is missed.

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    instances: { type: 'string', default: '1000' },
  },
});

const names = Object.keys(contenders);
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const progress = (line: string): void => void process.stderr.write(`${line}\n`);

async function run<Result>(program: string, ...args: readonly string[]): Promise<Result> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    file(`client/${program}.ts`),
    ...args,
  ]);
  return JSON.parse(stdout) as Result;
}

interface HotPath {
  readonly property: number;
  readonly handle: number;
  readonly resolved: number;
  readonly get: number;
  /** Of reads next to each other in time. */
  readonly handlePerProperty: number;
  readonly getPerResolved: number;
}

interface Weather {
  readonly coldGets: { readonly gets: number; readonly vaultCalls: number };
  readonly expiries: {
    readonly gets: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly maxMs: number;
  };
  readonly unavailable: Outage;
  readonly hanging: Outage;
}

interface Outage {
  readonly gets: number;
  readonly failed: number;
  readonly vaultCalls: number;
}

async function ofEach<Result>(program: string): Promise<Record<string, Result>> {
  const results: Record<string, Result> = {};
  for (const name of names) {
    progress(`${program}: ${name}`);
    results[name] = await run<Result>(program, name);
  }
  return results;
}

const median = (all: readonly number[]): number =>
  all.toSorted((one, other) => one - other)[Math.floor(all.length / 2)] ?? 0;

async function opening() {
  progress('import and open');
  const runs: { readonly ms: number; readonly heapBytes: number }[] = [];
  for (let count = 0; count < 15; count += 1) runs.push(await run('open'));
  const client = readFileSync(file('../packages/client/package.json'), 'utf8');
  const { dependencies = {} } = JSON.parse(client) as { dependencies?: Record<string, string> };
  return {
    ms: Number(median(runs.map(({ ms }) => ms)).toFixed(1)),
    heapKb: Math.round(median(runs.map(({ heapBytes }) => heapBytes)) / 1_024),
    dependencies: Object.keys(dependencies).length,
    bundle: await bundled(),
  };
}

async function bundled() {
  const { outputFiles } = await build({
    stdin: { contents: `export { openSecrets } from '@keyturn/client';`, resolveDir: file('.') },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'node',
    external: ['@opentelemetry/api'],
  });
  const bytes = outputFiles[0]?.contents ?? new Uint8Array();
  return { bytes: bytes.length, gzipBytes: gzipSync(bytes).length };
}

const hotPath = await ofEach<HotPath>('hot-path');
const weather = await ofEach<Weather>('weather');
progress(`an announced rotation, ${options.instances} instances`);
const fleet = await announceToFleet(Number(options.instances));
const open = await opening();

const ours = { hotPath: of(hotPath, 'keyturn'), weather: of(weather, 'keyturn') };
const naive = of(hotPath, 'naive TTL Map');
function of<Result>(results: Readonly<Record<string, Result>>, name: string): Result {
  const result = results[name];
  if (result === undefined) throw new Error(`There is no contender ${name}.`);
  return result;
}

const ratio = (one: number, other: number): number => Number((one / other).toFixed(2));
const goals = [
  goal('handle.current, × a property read', ours.hotPath.handlePerProperty, 2),
  goal('get awaited, × awaiting a resolved promise', ours.hotPath.getPerResolved, 1.1),
  goal('get awaited, × the naive Map', ratio(ours.hotPath.get, naive.get), 0.7),
  goal('1,000 concurrent cold gets, vault calls', ours.weather.coldGets.vaultCalls, 1),
  goal('10,000 gets/s across expiries, p99 ms', ours.weather.expiries.p99Ms, 0.05),
  goal('10,000 gets/s across expiries, longest ms', ours.weather.expiries.maxMs, 10),
  goal('vault answers 503 for 3 s, failed gets', ours.weather.unavailable.failed, 0),
  goal('vault answers 503 for 3 s, vault calls', ours.weather.unavailable.vaultCalls, 5),
  goal('vault hangs for 3 s, failed gets', ours.weather.hanging.failed, 0),
  goal('vault hangs for 3 s, vault calls', ours.weather.hanging.vaultCalls, 5),
  goal(`announced to ${fleet.instances} instances, last adoption ms`, fleet.lastAdoptedMs, 1_000),
  goal(`announced to ${fleet.instances} instances, vault reads`, fleet.vaultGets, fleet.instances),
  goal('import and open, ms', open.ms, 10),
  goal('import and open, KB of heap', open.heapKb, 1_024),
  goal('dependencies', open.dependencies, 0),
];

function goal(what: string, measured: number, atMost: number) {
  return { what, measured, atMost, reached: measured <= atMost };
}

const result = { hotPathNs: hotPath, weather, fleet, open, goals };
process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : report());
process.exitCode = goals.every(({ reached }) => reached) ? 0 : 1;

function report(): string {
  const row = (cells: readonly (string | number)[]): string =>
    cells.map((cell, index) => (index === 0 ? String(cell).padEnd(20) : String(cell).padStart(23))).join('');
  const outage = ({ failed, vaultCalls }: Outage): string => `${failed} / ${vaultCalls}`;
  const table = names.map((name) => {
    const { coldGets, expiries, unavailable, hanging } = of(weather, name);
    const times = `${expiries.p50Ms}/${expiries.p99Ms}/${expiries.maxMs}`;
    return row([
      name,
      of(hotPath, name).get,
      coldGets.vaultCalls,
      times,
      outage(unavailable),
      outage(hanging),
    ]);
  });
  return [
    row(['', 'ns/get', 'calls, cold', 'p50/p99/max ms', '503: failed/calls', 'hangs: failed/calls']),
    ...table,
    '',
    ...goals.map(
      ({ what, measured, atMost, reached }) =>
        `${reached ? '✓' : '✗'} ${what.padEnd(52)} ${String(measured).padStart(9)}  (at most ${atMost})`,
    ),
    `  bundle: ${open.bundle.bytes} bytes, ${open.bundle.gzipBytes} gzipped`,
    '',
  ].join('\n');
}
