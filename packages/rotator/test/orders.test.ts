import { describe, expect, it } from 'vitest';
import { failureOf, fresh, kinds, member, outcomeOf } from './endings.ts';
import { openWorld, type World } from './fakes/world.ts';

const asked = { who: 'ann', why: 'it is time', at: '2026-01-01T00:00:00.000Z' };
const secondMs = 1_000;

/** A world in which one instance stays where it is. */
function withStraggler(options: Parameters<typeof openWorld>[0] = {}): World {
  const world = openWorld(options);
  member(world, 1).adopts = false;
  return world;
}

const isRefused = (world: World): boolean => !world.source.authenticates(world.oldValue);

describe('an operator who says proceed', () => {
  it('ends the waiting, which is recorded with who and why', async () => {
    const world = withStraggler();
    world.clock.at(world.clock.now() + 3_600 * secondMs, () => world.say('proceed', 'bob'));
    const outcome = outcomeOf(await world.request());
    expect(outcome).toMatchObject({
      outcome: 'closed',
      proceeded: { order: 'proceed', who: 'bob', why: 'she knows' },
      notChecked: ['convergence: bob went on without it (she knows)'],
    });
    expect(isRefused(world)).toBe(true);
    expect(kinds(world)).toContain('order');
  });

  it('is heard at once, not at the next look for foreign versions', async () => {
    const world = withStraggler();
    const said = world.clock.now() + 3_600 * secondMs;
    world.clock.at(said, () => world.say('proceed'));
    const { convergedMs } = outcomeOf(await world.request());
    const publishedAt = world.vault.newest().setAt;
    expect(publishedAt + convergedMs - said).toBeLessThan(2 * world.policy.pollMs);
  });
});

describe('an operator who says abort', () => {
  it('ends it where it is: both credentials work, and the next request resumes it', async () => {
    const world = withStraggler();
    world.clock.at(world.clock.now() + 3_600 * secondMs, () => world.say('abort', 'bob'));
    const failure = failureOf(await world.request());
    expect(failure).toMatchObject({
      code: 'ABORTED',
      message: 'bob aborted the rotation of orders-db: she knows',
    });
    expect(isRefused(world)).toBe(false);
    expect(world.source.authenticates(fresh(world))).toBe(true);
    member(world, 1).adopts = true;
    member(world, 1).refresh();
    expect(outcomeOf(await world.request())).toMatchObject({
      id: 'orders-db@v1',
      version: 'v2',
      outcome: 'closed',
    });
    expect([...world.broken]).toEqual([]);
  });
});

describe('a secret whose rotations need approval', () => {
  const policy = { needsApproval: true };

  it('is rotated when somebody else agrees', async () => {
    const world = openWorld({ policy, asked });
    world.say('approve', 'bob');
    expect(outcomeOf(await world.request()).outcome).toBe('closed');
    expect(kinds(world).slice(0, 4)).toEqual(['approve', 'awaiting approval', 'order', 'preflight']);
  });

  it('is not rotated because who asked for it agrees', async () => {
    const world = openWorld({ policy, asked });
    world.say('approve', 'ann');
    world.say('abort', 'bob');
    expect(failureOf(await world.request()).code).toBe('ABORTED');
    expect(world.source.issued).toHaveLength(1);
    expect(world.vault.newest().version).toBe('v1');
  });

  it('waits as long as it takes', async () => {
    const world = openWorld({ policy, asked });
    const agreed = world.clock.now() + 3 * 86_400 * secondMs;
    world.clock.at(agreed, () => {
      expect(world.source.issued).toHaveLength(1);
      world.say('approve', 'bob');
    });
    expect(outcomeOf(await world.request()).outcome).toBe('closed');
    expect(world.clock.now()).toBeGreaterThan(agreed);
  });

  it('is rotated at once in an emergency', async () => {
    const world = openWorld({ policy, asked: { ...asked, compromised: true } });
    expect(outcomeOf(await world.request()).outcome).toBe('closed');
  });
});

describe('an emergency', () => {
  const emergency = { asked: { ...asked, compromised: true } };

  it('ends the old credential as soon as everyone has adopted, without waiting for the clock', async () => {
    const world = openWorld(emergency);
    const outcome = outcomeOf(await world.request());
    expect(outcome).toMatchObject({ outcome: 'closed', oldCredentialRefused: true });
    expect(outcome.overlapMs).toBeLessThan(60 * secondMs);
    expect(outcome.notChecked).toEqual(['clock: an emergency does not wait for it']);
    expect(isRefused(world)).toBe(true);
  });

  it('says before it starts what it is going to break', async () => {
    const world = openWorld(emergency);
    await world.request();
    expect(kinds(world).slice(0, 3)).toEqual(['preflight', 'emergency', 'issue']);
    expect(world.events).toContainEqual({
      kind: 'emergency',
      breaks: [
        'reports: no client; it may keep the old value for 90 s',
        "2 connected instances, those that don't adopt within 60 s",
        '2 sessions of the old credential, those that are still open then',
      ],
    });
  });

  it('waits for a straggler only so long, and names whom it cut off', async () => {
    const world = withStraggler({ ...emergency, policy: { emergencyMs: 90 * secondMs } });
    const outcome = outcomeOf(await world.request());
    expect(outcome.overlapMs).toBeGreaterThanOrEqual(90 * secondMs);
    expect(outcome.overlapMs).toBeLessThan(150 * secondMs);
    expect(outcome.notChecked).toContain('adoption: orders-api/two cut off');
    expect(isRefused(world)).toBe(true);
  });

  it('is not rolled back to the value that is in the wrong hands', async () => {
    const world = openWorld(emergency);
    member(world, 0).refuses = (version) => version === 'v2';
    expect(outcomeOf(await world.request())).toMatchObject({ outcome: 'closed', version: 'v2' });
    expect(isRefused(world)).toBe(true);
  });
});

describe('a policy that wants a fresh login', () => {
  it('takes the new version back if there is none in time', async () => {
    const world = openWorld({ policy: { freshLoginWithinMs: 60 * secondMs, consumers: [] } });
    world.fleet.vanish();
    expect(outcomeOf(await world.request())).toMatchObject({ outcome: 'rolled back', version: 'v3' });
    expect(world.events).toContainEqual({
      kind: 'rejected',
      reason: 'nobody has logged in with the new value within 60 s',
    });
    expect([...world.broken]).toEqual([]);
  });

  it('is content with one that comes late', async () => {
    const world = openWorld({ policy: { freshLoginWithinMs: 3_600 * secondMs, consumers: [] } });
    world.fleet.vanish();
    world.afterCall('source.usage', () => world.source.login(fresh(world), 'late'), 20);
    expect(outcomeOf(await world.request())).toMatchObject({
      outcome: 'closed',
      notChecked: expect.not.arrayContaining([expect.stringContaining('traffic')]),
    });
  });
});
