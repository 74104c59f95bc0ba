import { parseArgs } from 'node:util';
import { startClient } from './clients.ts';
import { playMatrix } from './matrix.ts';
import { playRound, type Kill, type Round } from './round.ts';
import { buildWorld } from '../world.ts';

/**
 * `npm run e2e:kill -- --rounds N [--matrix] [--seed S] [--json]`: kills the rotator at random instants, or before
 * and after each external call, and checks I1–I7 after every round. Exit code 1 if any was broken.
 */
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    matrix: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'boolean', default: false },
  },
});
const seed = Number(options.seed);
const world = await buildWorld();
const clients = [await startClient(world, 'one'), await startClient(world, 'two')];
const rounds: Round[] = [];
try {
  for await (const round of options.matrix
    ? playMatrix(world, clients)
    : playRandom(Number(options.rounds))) {
    rounds.push(round);
    tell(round);
  }
} finally {
  for (const client of clients) await client.close();
  await world.close();
}
const violations = rounds.flatMap((round) => round.violations);
const served = clients.reduce((sum, client) => sum + client.served(), 0);
if (options.json) {
  process.stdout.write(
    `${JSON.stringify({ seed, rounds: rounds.length, killed: rounds.filter(({ killed }) => killed).length, requestsServed: served, violations })}\n`,
  );
} else {
  process.stdout.write(
    `${rounds.length} rounds, ${rounds.filter(({ killed }) => killed).length} rotators killed, ${served} requests served, ${violations.length} violations (seed ${seed})\n`,
  );
}
process.exit(violations.length === 0 ? 0 : 1);

/** The instants lie within the time that an undisturbed rotation takes. Every third one is rolled back. */
async function* playRandom(count: number): AsyncGenerator<Round> {
  const startedAt = Date.now();
  yield await playRound(world, clients, { kill: 'never' });
  const instants = randomInstants(count, Date.now() - startedAt);
  for (const [index, kill] of instants.entries())
    yield await playRound(world, clients, { kill, rejected: index % 3 === 2 });
}

function randomInstants(count: number, withinMs: number): Kill[] {
  let state = seed;
  // mulberry32: the same seed kills at the same instants again
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return Array.from({ length: count }, () => ({ afterMs: Math.round(random() * withinMs) }));
}

function tell({ kill, killed, violations: broken }: Round): void {
  const when =
    kill === 'never'
      ? 'undisturbed'
      : 'afterMs' in kill
        ? `after ${kill.afterMs} ms`
        : `${kill.moment} "${kill.call}"`;
  const verdict =
    broken.length === 0
      ? 'I1–I7 hold'
      : [...new Set(broken.map(({ invariant, what }) => `${invariant}: ${what}`))].slice(0, 5).join('; ');
  process.stderr.write(`${killed ? 'killed' : 'ran'} ${when}: ${verdict}\n`);
}
