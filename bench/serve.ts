import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SecretClient } from '@azure/keyvault-secrets';
import { startEmulator } from '@keyturn/emulator';
import { freePort } from '@keyturn/rotator/free-port';

// `npm run bench:serve`: what it costs to look after many secrets of which none is due, on the embedded database and
// the local vault, which shares the machine. Exits with 1 if a goal is missed. Linux only: it reads /proc.

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    secrets: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '90' },
  },
});
const count = Number(options.secrets);
const seconds = Number(options.seconds);
const keyturn = fileURLToPath(new URL('../packages/cli/dist/main.js', import.meta.url));
const progress = (line: string): void => void process.stderr.write(`${line}\n`);

const folder = await mkdtemp(join(tmpdir(), 'keyturn-bench-'));
await chmod(folder, 0o711); // started by root, PostgreSQL runs as another user
const names = Array.from({ length: count }, (_, number) => `orders-${number}`);
const requests: number[] = [];
const emulator = await startEmulator({
  vaults: [{ name: 'bench' }],
  log: () => void requests.push(Date.now()),
});
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
let child: ChildProcess | undefined;
try {
  progress(`${count} secrets are set`);
  await setSecrets();
  await writeFile(join(folder, 'keyturn.yaml'), configuration());
  requests.length = 0;
  progress('keyturn serve starts');
  const startedAt = Date.now();
  child = spawn(process.execPath, [keyturn, 'serve', '--config', join(folder, 'keyturn.yaml')], {
    env: { ...process.env, ...emulator.environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await ready(child);
  const readyAfterMs = Date.now() - startedAt;
  progress(`it is watched for ${seconds} s`);
  const [cpuBefore, requestsBefore] = [await cpuSeconds(child), requests.length];
  await sleep(seconds * 1_000);
  const result = {
    secrets: count,
    readyAfterMs,
    cores: perSecond((await cpuSeconds(child)) - cpuBefore),
    vaultRequestsPerSecond: perSecond(requests.length - requestsBefore),
    mostVaultRequestsIn10s: mostWithin(10_000),
    memoryMb: Number(/VmRSS:\s+(\d+)/.exec(await proc(child, 'status'))?.[1]) >> 10,
    statusMs: await timed(`${url}/v1/secrets`),
    metricsMs: await timed(`${url}/metrics`),
  };
  const isWithinLimit = result.mostVaultRequestsIn10s <= 4_000;
  const lines = Object.entries(result).map(([what, measured]) => `${what.padEnd(24)}${measured}`);
  const goal = `${isWithinLimit ? '✓' : '✗'} at most 4,000 requests to the vault in any 10 s`;
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${[...lines, goal].join('\n')}\n`);
  process.exitCode = isWithinLimit ? 0 : 1;
} finally {
  if (child && child.exitCode === null) {
    child.kill('SIGINT');
    await once(child, 'exit');
  }
  await emulator.close();
  await rm(folder, { recursive: true, force: true });
}

async function setSecrets(): Promise<void> {
  const vault = new SecretClient(emulator.vaultUrl, emulator.credential, emulator.clientOptions);
  const left = names.values();
  const set = async (): Promise<void> => {
    for (const name of left) await vault.setSecret(name, 'a value');
  };
  await Promise.all(Array.from({ length: 40 }, set));
}

function configuration(): string {
  const source =
    '{ kind: postgres, host: 127.0.0.1, port: 1, database: orders, owner: orders, roles: [a, b], admin: { secret: admin } }';
  const secrets = names.map(
    (name) => `  ${name}:
    source: ${source}
    consumers: { orders-api: { ttl: 60s, instances: 1 } }
`,
  );
  return `vault: ${emulator.vaultUrl}
journal: { data: ${join(folder, 'journal')} }
fleet: { listen: "127.0.0.1:${port}" }
secrets:
${secrets.join('')}`;
}

async function ready(process: ChildProcess): Promise<void> {
  while (
    !(await fetch(`${url}/readyz`)
      .then(({ ok }) => ok)
      .catch(() => false))
  ) {
    if (process.exitCode !== null) throw new Error('keyturn serve has ended.');
    await sleep(100);
  }
}

/** A file of the process under /proc. */
function proc({ pid }: ChildProcess, name: string): Promise<string> {
  return readFile(`/proc/${pid}/${name}`, 'utf8');
}

async function cpuSeconds(process: ChildProcess): Promise<number> {
  const [user = 0, system = 0] = (await proc(process, 'stat')).split(' ').slice(13, 15).map(Number);
  return (user + system) / 100; // ticks
}

function perSecond(inAll: number): number {
  return Math.round((100 * inAll) / seconds) / 100;
}

function mostWithin(spanMs: number): number {
  let [most, first] = [0, 0];
  for (const [index, at] of requests.entries()) {
    while ((requests[first] ?? at) < at - spanMs) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

async function timed(address: string): Promise<number> {
  const begin = performance.now();
  const response = await fetch(address);
  await response.text();
  if (!response.ok) throw new Error(`${address} answered with ${response.status}.`);
  return Math.round(performance.now() - begin);
}
