import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startClient, type LiveClient } from './clients.ts';
import { playRound } from './round.ts';
import { buildWorld, type World } from '../world.ts';

describe('a rotator that is killed', () => {
  let world: World;
  let clients: LiveClient[];

  beforeAll(async () => {
    world = await buildWorld();
    clients = [await startClient(world, 'one'), await startClient(world, 'two')];
  });

  afterAll(async () => {
    for (const client of clients) await client.close();
    await world.close();
  });

  it('keeps I1 to I7 at five random instants', async () => {
    for (let round = 1; round <= 5; round += 1) {
      const afterMs = Math.round(Math.random() * 4_000);
      const { violations } = await playRound(world, clients, { kill: { afterMs } });
      expect(violations, `killed after ${afterMs} ms`).toEqual([]);
    }
  }, 120_000);

  it.each([
    ['has published the old value', 'publish: vault setSecret #2', 'after'],
    ['disables the rejected version', 'revoke: vault updateSecretProperties #1', 'before'],
  ] as const)('keeps I1 to I7 in a roll back, when it %s, and after it', async (_when, call, moment) => {
    const { killed, violations } = await playRound(world, clients, {
      kill: { call, moment },
      rejected: true,
    });
    expect(killed, `${moment} ${call}`).toBe(true);
    expect(violations).toEqual([]);
    expect((await playRound(world, clients, { kill: 'never' })).violations).toEqual([]);
  });

  it('is caught by I7 if it says that the old credential is refused and has not seen it', async () => {
    const { violations } = await playRound(world, clients, { kill: 'never', mutant: 'unproven' });
    expect(violations.map(({ invariant }) => invariant)).toContain('I7 honest');
  });

  it('is caught by I1 if it issues again without looking in the vault first', async () => {
    const undisturbed = await playRound(world, clients, { kill: 'never' });
    const publication = undisturbed.calls.find((call) => call.includes('vault setSecret'));
    expect(publication).toBeDefined();
    const kill = { call: publication ?? '', moment: 'after' as const };
    const { violations } = await playRound(world, clients, { kill, mutant: 're-issue' });
    expect(violations.map(({ invariant }) => invariant)).toContain('I1 available');
  }, 60_000);
});
