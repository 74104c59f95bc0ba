import { parseArgs } from 'node:util';
import { buildWorld } from '../world.ts';
import { startClient } from './clients.ts';
import type { Violation } from './invariants.ts';
import { playMatrix } from './matrix.ts';
import { seededRandom } from './random.ts';
import { buildReplicatedWorld, type ReplicatedWorld } from './replica-round.ts';
import { playRound, type Round } from './round.ts';

/**
 * `npm run e2e:kill -- --rounds N [--matrix] [--replicas N] [--seed S] [--json]`: kills the rotator at random
 * instants, or before and after each external call, or one of several rotators that share a journal, and checks
 * I1–I7 after every round. Exit code 1 if any was broken.
 */
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    matrix: { type: 'boolean', default: false },
    replicas: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'boolean', default: false },
  },
});
const seed = wholeNumber('seed');
const count = wholeNumber('rounds');
const random = seededRandom(seed);
const startedAt = Date.now();

/** A takeover is mostly waiting, so several worlds share the rounds. */
const worlds = 3;
const undisturbedMs = 5_000;
const mostRestartMs = 20_000;

interface Summary {
  readonly rounds: number;
  readonly killed: number;
  readonly requestsServed: number;
  readonly violations: readonly Violation[];
  /** Rotations that another rotator went on with. */
  readonly takeovers?: number;
}

const summary = options.replicas === undefined ? await one() : await several(wholeNumber('replicas'));
const { rounds, killed, requestsServed, violations } = summary;
const seconds = Math.round((Date.now() - startedAt) / 1_000);
process.stdout.write(
  options.json
    ? `${JSON.stringify({ seed, ...summary, seconds })}\n`
    : `${rounds} rounds, ${killed} rotators killed, ${requestsServed} requests served, ${violations.length} violations, ${seconds} s (seed ${seed})\n`,
);
process.exit(violations.length === 0 ? 0 : 1);

function wholeNumber(option: 'seed' | 'rounds' | 'replicas'): number {
  const text = options[option] ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  process.stderr.write(`--${option} takes a whole number, not "${text}".\n`);
  process.exit(2);
}

/** One rotator, in a process that ends with its rotation. */
async function one(): Promise<Summary> {
  const world = await buildWorld();
  const clients = [await startClient(world, 'one'), await startClient(world, 'two')];
  const played: Round[] = [];

  /** The instants lie within the time that an undisturbed rotation takes. Every third one is rolled back. */
  async function* playRandom(): AsyncGenerator<Round> {
    const begin = Date.now();
    yield await playRound(world, clients, { kill: 'never' });
    const withinMs = Date.now() - begin;
    for (let round = 0; round < count; round += 1) {
      const kill = { afterMs: Math.round(random() * withinMs) };
      yield await playRound(world, clients, { kill, rejected: round % 3 === 2 });
    }
  }

  try {
    for await (const round of options.matrix ? playMatrix(world, clients) : playRandom()) {
      played.push(round);
      tell(`${round.killed ? 'killed' : 'ran'} ${inWords(round)}`, round.violations);
    }
  } finally {
    for (const client of clients) await client.close();
    await world.close();
  }
  return {
    rounds: played.length,
    killed: played.filter((round) => round.killed).length,
    requestsServed: clients.reduce((sum, client) => sum + client.served(), 0),
    violations: played.flatMap((round) => round.violations),
  };
}

/** Several `keyturn serve` on one journal, with a secret of PostgreSQL and one of Redis that are rotated at once. */
async function several(replicas: number): Promise<Summary> {
  let played = 0;
  let served = 0;
  let takeovers = 0;
  const broken: Violation[] = [];

  async function playWorld(world: ReplicatedWorld): Promise<void> {
    const draw = (below: number) => Math.floor(random() * below);
    try {
      while (played < count) {
        const number = (played += 1);
        const kill = {
          replica: draw(replicas),
          afterMs: draw(undisturbedMs),
          restartAfterMs: draw(mostRestartMs),
        };
        const asked = [draw(replicas), draw(replicas)];
        const found = await world.playRound({ kill, asked, rejected: number % 3 === 0 });
        broken.push(...found);
        const { replica, afterMs, restartAfterMs } = kill;
        tell(
          `${number}: killed rotator ${replica + 1} after ${afterMs} ms, back after ${restartAfterMs} ms`,
          found,
        );
      }
    } finally {
      await world.close();
      served += world.served();
      takeovers += world.replicas.takeovers();
    }
  }

  const playing: Promise<void>[] = [];
  for (let number = 0; number < Math.min(worlds, count); number += 1)
    playing.push(playWorld(await buildReplicatedWorld(replicas)));
  await Promise.all(playing);
  return { rounds: played, killed: played, requestsServed: served, violations: broken, takeovers };
}

function inWords({ kill }: Round): string {
  if (kill === 'never') return 'undisturbed';
  return 'afterMs' in kill ? `after ${kill.afterMs} ms` : `${kill.moment} "${kill.call}"`;
}

function tell(what: string, broken: readonly Violation[]): void {
  const verdict =
    broken.length === 0
      ? 'I1–I7 hold'
      : [...new Set(broken.map(({ invariant, what: how }) => `${invariant}: ${how}`))].slice(0, 5).join('; ');
  process.stderr.write(`${what}: ${verdict}\n`);
}
