import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

// `npm run bench:emulator`: what the local Key Vault takes, in one run beside the least that a test double in
// Node can do: an https server with one fixed answer, which checks nothing.

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    /** For the memory; a million takes several minutes. */
    requests: { type: 'string', default: '1000000' },
    versions: { type: 'string', default: '100000' },
  },
});

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const keyturn = file('../packages/cli/dist/main.js');
const progress = (line: string): void => void process.stderr.write(`${line}\n`);

interface Served {
  readonly child: ChildProcess;
  readonly url: string;
  readonly port: number;
  readonly caFile: string;
  readonly token: string;
  readonly readyMs: number;
}

async function start(args: readonly string[]): Promise<Served> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await firstLine(child);
  const readyMs = performance.now() - started;
  const said = JSON.parse(line) as Record<string, string>;
  return { child, readyMs, ...(await wayTo(said)) };
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('It has no output.');
  for await (const line of createInterface(child.stdout)) return line;
  throw new Error('It ended without a word.');
}

/** How the load reaches it without the proxy, which would be measured, too. */
async function wayTo(said: Record<string, string>) {
  const { vaultUrl: url = '', caFile = '', identityEndpoint, identityHeader = '', port } = said;
  if (identityEndpoint === undefined) return { url, caFile, token: '', port: Number(port) };
  const answer = await fetch(`${identityEndpoint}?api-version=2019-08-01&resource=https://vault.azure.net`, {
    headers: { 'X-IDENTITY-HEADER': identityHeader },
  });
  const { access_token: token } = (await answer.json()) as { access_token: string };
  const admin = (await (await fetch(said['adminUrl'] ?? '')).json()) as { directUrl: string };
  return { url, caFile, token, port: Number(new URL(admin.directUrl).port) };
}

async function stop({ child }: Served): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

interface Load {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
  readonly calls: number;
  readonly names?: number;
}

interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function load(served: Served, { method, path, calls, names = 1 }: Load): Promise<Measured> {
  const at = ['--url', served.url, '--port', String(served.port), '--ca-file', served.caFile];
  const what = ['--method', method, '--path', path, '--calls', String(calls), '--names', String(names)];
  const child = spawn(process.execPath, [file('load.ts'), ...at, ...what], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TOKEN: served.token },
  });
  return JSON.parse(await firstLine(child)) as Measured;
}

/** Resident memory in MB; nothing where the system doesn't tell. */
function residentMb({ child }: Served): number | undefined {
  try {
    const kilobytes = /VmRSS:\s+(?<kb>\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
    return Math.round(Number(kilobytes?.groups?.['kb']) / 1024);
  } catch {
    return undefined;
  }
}

async function startUp(): Promise<{ readonly medianMs: number; readonly runsMs: readonly number[] }> {
  const runs: number[] = [];
  for (let run = 0; run < 9; run += 1) {
    const served = await start([keyturn, 'emulator', '--json']);
    runs.push(Math.round(served.readyMs));
    await stop(served);
  }
  return { medianMs: runs.toSorted((one, other) => one - other)[4] ?? 0, runsMs: runs };
}

const get: Load = { method: 'GET', path: '/secrets/key?api-version=7.6', calls: 20_000 };
const set: Load = { method: 'PUT', path: '/secrets/key?api-version=7.6', calls: 10_000 };

async function throughput(served: Served) {
  await load(served, { ...set, calls: 1 });
  await load(served, { ...get, calls: 3_000 });
  const gets = await load(served, get);
  const sets = await load(served, set);
  return { gets, sets };
}

/** The same reads over and over, with the memory looked at ten times on the way. */
async function memory(served: Served, requests: number) {
  const residentMbs: (number | undefined)[] = [];
  for (let tenth = 1; tenth <= 10; tenth += 1) {
    await load(served, { ...get, calls: requests / 10 });
    residentMbs.push(residentMb(served));
    progress(`memory: ${(requests / 10) * tenth} requests, ${residentMbs.at(-1)} MB`);
  }
  return { requests, residentMb: residentMbs };
}

async function versions(served: Served, count: number) {
  const before = residentMb(served);
  const sets = await load(served, {
    ...set,
    path: '/secrets/key-N?api-version=7.6',
    calls: count,
    names: 100,
  });
  const gets = await load(served, { ...get, path: '/secrets/key-N?api-version=7.6', names: 100 });
  return { count, residentMbBefore: before, residentMbAfter: residentMb(served), sets, gets };
}

const dataFolder = await mkdtemp(join(tmpdir(), 'keyturn-bench-'));
try {
  progress('start-up');
  const ready = await startUp();

  progress('a server with one fixed answer');
  const fixed = await start([file('fixed-answer.ts')]);
  const fixedAnswer = await throughput(fixed);
  await stop(fixed);

  progress('the emulator, in memory');
  const inMemory = await start([keyturn, 'emulator', '--json']);
  const keyturnInMemory = await throughput(inMemory);
  const steady = await memory(inMemory, Number(options.requests));
  await stop(inMemory);

  progress('the emulator, with a data folder');
  const kept = await start([keyturn, 'emulator', '--json', '--data', dataFolder]);
  const keyturnKept = await throughput(kept);
  const held = await versions(kept, Number(options.versions));
  await stop(kept);
  const again = await start([keyturn, 'emulator', '--json', '--data', dataFolder]);
  const restartMs = Math.round(again.readyMs);
  await stop(again);

  const result = {
    ready,
    throughput: { fixedAnswer, keyturn: keyturnInMemory, keyturnWithDataFolder: keyturnKept },
    memory: steady,
    versions: { ...held, restartMs },
  };
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : report(result));
} finally {
  await rm(dataFolder, { recursive: true });
}

function report({
  ready,
  throughput: rates,
  memory: steady,
  versions: held,
}: {
  readonly ready: Awaited<ReturnType<typeof startUp>>;
  readonly throughput: Readonly<Record<string, Awaited<ReturnType<typeof throughput>>>>;
  readonly memory: Awaited<ReturnType<typeof memory>>;
  readonly versions: Awaited<ReturnType<typeof versions>> & { readonly restartMs: number };
}): string {
  const rows = Object.entries(rates).map(
    ([name, { gets, sets }]) =>
      `${name.padEnd(24)} ${String(gets.perSecond).padStart(7)} gets/s (p99 ${gets.p99Ms} ms) ${String(sets.perSecond).padStart(7)} sets/s (p99 ${sets.p99Ms} ms)`,
  );
  return [
    `ready after ${ready.medianMs} ms (median of ${ready.runsMs.length})`,
    ...rows,
    `memory over ${steady.requests} requests: ${steady.residentMb.join(', ')} MB`,
    `${held.count} versions: ${held.sets.perSecond} sets/s, then ${held.gets.perSecond} gets/s, ${held.residentMbBefore} → ${held.residentMbAfter} MB, ready again after ${held.restartMs} ms`,
    '',
  ].join('\n');
}
