import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveClient } from './clients.ts';
import { checkInvariants, read, type RoundFacts, type Violation } from './invariants.ts';
import { startObjector } from './objector.ts';
import { postgresUnderTest } from './postgres-under-test.ts';
import type { KillPoint, RotatorOrders, RotatorSays } from './protocol.ts';
import { watchCurrent } from './watch-current.ts';
import { secretName, type World } from '../world.ts';

const rotatorFile = fileURLToPath(new URL('rotator.ts', import.meta.url));
const attempts = 5;

/** When the rotator of a round is killed. */
export type Kill = { readonly afterMs: number } | KillPoint | 'never';

export interface Round {
  readonly kill: Kill;
  /** True if a process really died by SIGKILL. */
  readonly killed: boolean;
  /** The calls that left the process, by name, in their order. */
  readonly calls: readonly string[];
  readonly violations: readonly Violation[];
}

/**
 * Rotates once, kills the rotator on the way, starts it again until it is done, and checks every invariant. A new
 * version that is `rejected` has to be rolled back.
 */
export async function playRound(
  world: World,
  clients: readonly LiveClient[],
  options: { kill: Kill; mutant?: RotatorOrders['mutant']; rejected?: boolean },
): Promise<Round> {
  const { kill, mutant, rejected = false } = options;
  const before = await world.vault.getSecret(secretName);
  const old = { version: before.properties.version ?? '', value: before.value ?? '' };
  world.values.add(new URL(old.value).password);
  for (const client of clients) client.takeFailures();
  const source = postgresUnderTest(world);
  const logBefore = await source.logLength();
  const watcher = watchCurrent(world, source);
  const objector = rejected ? startObjector(world, old) : undefined;

  const orders = { ...world.orders, ...(mutant ? { mutant } : {}) };
  const first = await runRotator(world, { ...orders, resumes: false }, kill);
  const issued = [...first.issued];
  let { killed } = first;
  let last = first;
  for (let attempt = 1; attempt <= attempts && last.outcome === undefined; attempt += 1) {
    // One that gave up by itself, as it may when the machine is busy, is still to be killed.
    last = await runRotator(world, { ...orders, resumes: true }, killed ? 'never' : kill);
    killed ||= last.killed;
    issued.push(...last.issued);
  }
  await objector?.stop();
  const { dead: deadCurrents } = await watcher.stop();
  await read(world, { secret: secretName });
  const facts: RoundFacts = {
    old,
    expected: rejected ? 'rolled back' : 'closed',
    issued,
    logBefore,
    outcome: last.outcome,
    failures: clients.flatMap((client) => client.takeFailures()),
    deadCurrents,
  };
  return { kill, killed, calls: first.calls, violations: await checkInvariants(world, facts) };
}

interface Ran {
  readonly killed: boolean;
  readonly outcome: RoundFacts['outcome'];
  readonly calls: readonly string[];
  readonly issued: readonly string[];
}

async function runRotator(world: World, orders: RotatorOrders, kill: Kill): Promise<Ran> {
  const killAt = typeof kill === 'object' && 'call' in kill ? { killAt: kill } : {};
  const child = fork(rotatorFile, {
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: join(world.folder, 'compiled'), // most of a round is spent on starting processes
      ...world.emulator.environment,
      KILL_ORDERS: JSON.stringify({ ...orders, ...killAt }),
    },
    execArgv: ['--no-deprecation'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const calls: string[] = [];
  const issued: string[] = [];
  child.on('message', (message: RotatorSays) => {
    if ('call' in message) return void calls.push(message.call);
    issued.push(message.issued);
    world.values.add(new URL(message.issued).password);
  });
  const [out, err] = [collect(child.stdout), collect(child.stderr)];
  const exited = once(child, 'exit');
  if (typeof kill === 'object' && 'afterMs' in kill) await killAfter(child, kill.afterMs, exited);
  const [, signal] = (await exited) as [number | null, NodeJS.Signals | null];
  world.written.push(out(), err());
  const line = out().trim();
  return {
    killed: signal === 'SIGKILL',
    outcome: line === '' ? undefined : (JSON.parse(line) as RoundFacts['outcome']),
    calls,
    issued,
  };
}

async function killAfter(child: ChildProcess, afterMs: number, exited: Promise<unknown>): Promise<void> {
  await Promise.race([sleep(afterMs), exited]);
  child.kill('SIGKILL');
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}
