import { SourceError } from '@keyturn/source';
import { describe, expect, it } from 'vitest';
import { openWorld } from './fakes/world.ts';
import { failureOf, kinds, member, outcomeOf } from './endings.ts';

const hourMs = 3_600_000;

describe('a rotation after a roll back', () => {
  it('disables both versions that hold what it ends', async () => {
    const world = openWorld();
    member(world, 0).refuses = (version) => version === 'v2';
    await world.request();
    expect(outcomeOf(await world.request())).toMatchObject({ id: 'orders-db@v3', version: 'v4' });
    const enabled = world.vault.stored.filter((version) => version.enabled);
    expect(enabled.map(({ version }) => version)).toEqual(['v4']);
    expect([...world.broken]).toEqual([]);
  });
});

describe('a rotation that is resumed after its deadline', () => {
  it('is not held before everyone who lives can have reported', async () => {
    const world = openWorld();
    member(world, 1).adopts = false;
    const beforeDeadline = world.clock.now() + 5 * 60_000;
    expect((await world.request({ crashAt: beforeDeadline })).kind).toBe('crashed');
    world.clock.advance(hourMs);
    const settledAt = world.clock.now() + 60_000;
    world.fleet.settlesAt(settledAt);
    world.clock.at(settledAt - 1_000, () => member(world, 1).refresh());
    expect(outcomeOf(await world.recover())).toMatchObject({ outcome: 'closed' });
    expect(kinds(world)).not.toContain('held');
  });

  it('is held then', async () => {
    const world = openWorld();
    member(world, 1).adopts = false;
    const settledAt = world.clock.now() + hourMs;
    world.fleet.settlesAt(settledAt);
    world.clock.at(settledAt, () => expect(kinds(world)).not.toContain('held'));
    world.clock.at(settledAt + 2 * 60_000, () => {
      expect(kinds(world)).toContain('held');
      member(world, 1).refresh();
    });
    expect(outcomeOf(await world.request())).toMatchObject({ outcome: 'closed' });
  });
});

describe('a failure that passes while a rotation converges', () => {
  it('may last as long as the policy says, whenever it begins', async () => {
    const world = openWorld();
    const noAnswer = new SourceError('UNREACHABLE', 'No answer.');
    // The waits between nine tries are a minute and a half; one poll went well half a minute before.
    world.afterCall('source.usage', () => world.source.failNext('usage', noAnswer, 9));
    expect(outcomeOf(await world.request())).toMatchObject({ outcome: 'closed' });
    expect(world.events.some(({ kind }) => kind === 'retrying')).toBe(true);
  });

  it('ends it if it lasts longer', async () => {
    const world = openWorld();
    const noAnswer = new SourceError('UNREACHABLE', 'No answer.');
    world.afterCall('source.usage', () => world.source.failNext('usage', noAnswer, 12));
    expect(failureOf(await world.request()).code).toBe('UNREACHABLE');
  });
});

describe('a rotation that failed after it had ended the old credential', () => {
  it('goes on, as nothing is left to roll back to, and says who objected', async () => {
    const world = openWorld();
    world.vault.cutOff('disable', 50);
    expect(failureOf(await world.request()).code).toBe('VAULT_UNREACHABLE');
    expect(world.source.authenticates(world.oldValue)).toBe(false);
    world.vault.cutOff('disable', 0);
    const late = world.fleet.start('orders-api', 'three');
    late.state = { ...late.state, refused: { v2: 1 } };
    const outcome = outcomeOf(await world.request());
    expect(outcome).toMatchObject({ outcome: 'closed', version: 'v2', revokedVersion: 'v1' });
    expect(outcome.notChecked).toEqual(
      expect.arrayContaining([
        'convergence: it ended when a roll back was asked for',
        'roll back: the old credential is gone already (orders-api/three is refused with the new version)',
      ]),
    );
  });
});
