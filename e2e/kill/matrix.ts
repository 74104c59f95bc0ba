import { Client } from 'pg';
import { roles, secretName, type World } from '../world.ts';
import type { LiveClient } from './clients.ts';
import type { KillPoint } from './protocol.ts';
import { playRound, type Round } from './round.ts';

/**
 * Kills the rotator before and after every call that leaves its process, one round each: those of the first
 * rotation of a secret, which has more to set up, and those of every later one.
 */
export async function* playMatrix(
  world: World,
  clients: readonly LiveClient[],
  moments: readonly KillPoint['moment'][] = ['before', 'after'],
): AsyncGenerator<Round> {
  const first = yield* undisturbed(world, clients, () => makeFirst(world));
  const later = yield* undisturbed(world, clients, async () => undefined);
  const points = killPoints(later, moments);
  for (const kill of points) yield await playRound(world, clients, { kill });
  const known = new Set(points.map(({ call }) => call));
  for (const kill of killPoints(first, moments).filter(({ call }) => !known.has(call))) {
    await makeFirst(world);
    yield await playRound(world, clients, { kill });
  }
}

/** The calls of an undisturbed rotation: what only one of two makes is a repetition that a busy machine caused. */
async function* undisturbed(
  world: World,
  clients: readonly LiveClient[],
  prepare: () => Promise<void>,
): AsyncGenerator<Round, string[]> {
  await prepare();
  const one = await playRound(world, clients, { kill: 'never' });
  yield one;
  await prepare();
  const other = await playRound(world, clients, { kill: 'never' });
  yield other;
  return one.calls.filter((call) => other.calls.includes(call));
}

/**
 * The kill points of a rotation: both sides of every call that leaves the process. While it converges, and until
 * no session is left to end, it makes the same few calls over and over; the first of each kind stands for all.
 */
function killPoints(calls: readonly string[], moments: readonly KillPoint['moment'][]): KillPoint[] {
  const distinct = new Set(calls.filter((call) => !isRepeated(call) || call.endsWith(' #1')));
  return [...distinct].flatMap((call) => moments.map((moment) => ({ call, moment })));
}

function isRepeated(call: string): boolean {
  return call.startsWith('converge:') || call.includes('pg_terminate_backend');
}

/** Makes the next rotation a first one: only one of the two roles exists, and no tag says which is in use. */
async function makeFirst({ sourceUrl, vault }: World): Promise<void> {
  const { properties } = await vault.getSecret(secretName);
  await vault.updateSecretProperties(secretName, properties.version ?? '', { tags: {} });
  const client = new Client({ connectionString: sourceUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ rolname: string }>(
      'select rolname from pg_roles where not rolcanlogin and rolname = any($1)',
      [roles],
    );
    for (const { rolname } of rows) await client.query(`drop role ${client.escapeIdentifier(rolname)}`);
  } finally {
    await client.end();
  }
}
