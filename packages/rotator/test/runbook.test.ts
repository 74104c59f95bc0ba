import { SourceError } from '@keyturn/source';
import { describe, expect, it } from 'vitest';
import type { SecretPolicy } from '../src/policy/secret-policy.ts';
import { openWorld, usualPolicy, type Ending, type World } from './fakes/world.ts';
import { failureOf, fresh, kinds, member, outcomeOf } from './endings.ts';

const hourMs = 3_600_000;

const policyWithout = (who: (consumer: SecretPolicy['consumers'][number]) => boolean) => ({
  consumers: usualPolicy.consumers.filter((consumer) => !who(consumer)),
});

describe('a rotation', () => {
  it('issues, proves, publishes, announces, converges, verifies, revokes and closes', async () => {
    const world = openWorld();
    const outcome = outcomeOf(await world.request());
    expect(outcome).toMatchObject({
      id: 'orders-db@v1',
      outcome: 'closed',
      version: 'v2',
      revokedVersion: 'v1',
      oldCredentialRefused: true,
      notChecked: [],
    });
    expect(outcome.overlapMs).toBeGreaterThanOrEqual(185_000);
    expect(outcome.overlapMs).toBeGreaterThan(outcome.convergedMs);
    expect(kinds(world).filter((kind) => kind !== 'standing' && kind !== 'converge')).toEqual([
      'preflight',
      'issue',
      'prove',
      'publish',
      'announce',
      'verify',
      'revoke',
      'close',
      'ended',
    ]);
    expect(world.source.live()).toEqual(['b#orders-db@v1']);
    expect(world.vault.find('v1')).toMatchObject({ enabled: false, tags: { credential: 'a' } });
    expect(world.vault.newest().tags).toMatchObject({
      rotation: 'orders-db@v1',
      credential: 'b#orders-db@v1',
    });
    expect(world.fleet.announced).toEqual([{ secret: 'orders-db', version: 'v2', spreadMs: 0 }]);
    expect([...world.broken]).toEqual([]);
  });

  it('is followed by the next one, which takes the other slot', async () => {
    const world = openWorld();
    await world.request();
    expect(outcomeOf(await world.request())).toMatchObject({ id: 'orders-db@v2', version: 'v3' });
    expect(world.source.live()).toEqual(['a#orders-db@v2']);
    expect([...world.broken]).toEqual([]);
  });

  it('says what nobody could check', async () => {
    const world = openWorld({ policy: policyWithout(({ reports }) => reports) });
    world.fleet.vanish();
    world.source.hideUsage();
    const { outcome, notChecked } = outcomeOf(await world.request());
    expect(outcome).toBe('closed');
    expect(notChecked).toEqual([
      'adoption: no consumer reports',
      "usage: the source can't tell who uses it",
      'traffic: nobody has logged in with the new value yet',
    ]);
    expect([...world.broken]).toEqual([]);
  });

  it('does not start from a value that is refused, and changes nothing', async () => {
    const world = openWorld();
    world.source.lose(world.oldValue);
    expect(failureOf(await world.request())).toMatchObject({ code: 'PREFLIGHT' });
    expect(world.source.issued).toHaveLength(1);
    expect(world.vault.stored).toHaveLength(1);
  });

  it('does not guess which of two credentials is in use', async () => {
    const world = openWorld();
    world.source.setByHand('b', 'b');
    const failure = failureOf(await world.request());
    expect(failure).toMatchObject({ code: 'PREFLIGHT' });
    expect(failure.message).toContain('(a, b)');
    expect(world.source.live()).toEqual(['a', 'b']);
  });
});

describe('the old credential', () => {
  const lackings: Record<string, { policy?: Partial<SecretPolicy>; lack: (world: World) => () => void }> = {
    clock: {
      policy: { overlapMs: 6 * hourMs },
      lack: () => () => undefined,
    },
    adoption: {
      lack(world) {
        member(world, 1).adopts = false;
        world.afterCall('vault.publish', () => world.source.logout('orders-api/two')); // usage sees nobody
        return () => member(world, 1).refresh();
      },
    },
    usage: {
      lack(world) {
        world.source.login(world.oldValue, 'nightly batch');
        return () => world.source.logout('nightly batch');
      },
    },
  };

  it.each(Object.entries(lackings))(
    'stays alive as long as %s is lacking',
    async (check, { policy, lack }) => {
      const world = openWorld(policy ? { policy } : {});
      const end = lack(world);
      const seen: { lives: boolean; missing: string[] }[] = [];
      const hours = [1, 3, 5.9];
      for (const hour of hours) {
        world.clock.at(world.clock.now() + hour * hourMs, () => {
          const standing = world.events.findLast((event) => event.kind === 'standing');
          const missing = standing?.verdicts.filter(({ passed }) => passed === false).map((one) => one.check);
          seen.push({ lives: world.source.authenticates(world.oldValue), missing: missing ?? [] });
        });
      }
      world.clock.at(world.clock.now() + 6 * hourMs, end);
      const outcome = outcomeOf(await world.request());
      expect(seen).toEqual(hours.map(() => ({ lives: true, missing: [check] })));
      expect(outcome.overlapMs).toBeGreaterThanOrEqual(6 * hourMs - 10_000);
      expect(world.source.authenticates(world.oldValue)).toBe(false);
      expect([...world.broken]).toEqual([]);
    },
  );

  it('stays alive while an expected instance is silent', async () => {
    const world = openWorld();
    member(world, 1).vanish();
    const start = world.clock.now();
    world.clock.at(start + hourMs, () => {
      expect(world.source.authenticates(world.oldValue)).toBe(true);
      world.fleet.start('orders-api', 'three');
    });
    expect(outcomeOf(await world.request()).overlapMs).toBeGreaterThanOrEqual(hourMs - 10_000);
  });

  it('is not ended while sessions of it can still be seen after the deadline: people are told', async () => {
    const world = openWorld();
    member(world, 1).adopts = false;
    world.clock.at(world.clock.now() + hourMs, () => member(world, 1).refresh());
    expect(outcomeOf(await world.request())).toMatchObject({ outcome: 'closed' });
    const held = world.events.find((event) => event.kind === 'held');
    expect(held?.stragglers).toEqual(['orders-api/two', 'session of orders-api/two']);
    expect(kinds(world).indexOf('held')).toBeLessThan(kinds(world).indexOf('verify'));
  });

  it('is not revoked when its value has become current again', async () => {
    const world = openWorld({ policy: policyWithout(({ reports }) => reports) });
    world.fleet.vanish();
    const tags = { rotation: 'orders-db@v1' };
    world.afterCall('source.usage', () => world.vault.set(world.oldValue, tags), 6);
    expect(failureOf(await world.request()).code).toBe('VAULT_CHANGED');
    expect(world.source.authenticates(world.oldValue)).toBe(true);
  });

  it('is reported as still living if it logs in after its revocation', async () => {
    const world = openWorld();
    world.source.ignoreRevocations();
    expect(failureOf(await world.request()).code).toBe('NOT_REFUSED');
    expect(world.outcomes).toEqual([]);
  });
});

describe('a roll back', () => {
  function expectRolledBack(world: World, ending: Ending | undefined): void {
    expect(outcomeOf(ending)).toMatchObject({ outcome: 'rolled back', revokedVersion: 'v2' });
    expect(world.vault.newest().value.equals(world.oldValue)).toBe(true);
    expect(world.vault.newest()).toMatchObject({
      enabled: true,
      tags: { rolledBack: true, credential: 'a' },
    });
    expect(world.source.live()).toEqual(['a']);
    expect([...world.broken]).toEqual([]);
  }

  it('comes when an instance is refused with the new version', async () => {
    const world = openWorld();
    member(world, 0).refuses = (version) => version === 'v2';
    expectRolledBack(world, await world.request());
    expect(world.events).toContainEqual({
      kind: 'rejected',
      reason: 'orders-api/one is refused with the new version',
    });
    expect(member(world, 1).state.version).toBe('v3');
  });

  it('waits for convergence on the old value before it ends the new credential', async () => {
    const world = openWorld();
    member(world, 0).refuses = (version) => version === 'v2';
    world.afterCall('source.usage', () => (member(world, 1).adopts = false), 2); // it stays on the new version
    world.clock.at(world.clock.now() + hourMs, () => {
      expect(world.source.authenticates(fresh(world))).toBe(true);
      member(world, 1).refresh();
    });
    expect(outcomeOf(await world.request()).overlapMs).toBeGreaterThanOrEqual(hourMs - 60_000);
    expect([...world.broken]).toEqual([]);
  });

  it('is not cut short by an instance that is refused with the old value too', async () => {
    const world = openWorld();
    member(world, 0).refuses = (version) => version !== 'v1';
    world.clock.at(world.clock.now() + hourMs, () => {
      expect(world.source.authenticates(fresh(world))).toBe(true);
      member(world, 0).refuses = () => false;
      member(world, 0).refresh();
    });
    expectRolledBack(world, await world.request());
  });

  it('is not cut short by an operator who orders it twice', async () => {
    const world = openWorld();
    for (let time = 0; time < 3; time += 1) world.say('roll back');
    const ending = await world.request();
    expectRolledBack(world, ending);
    expect(outcomeOf(ending).convergedMs).toBeGreaterThanOrEqual(185_000);
  });

  it('comes when the source refuses the published value', async () => {
    const world = openWorld();
    world.afterCall('source.usage', () => world.source.lose(fresh(world)), 5);
    expectRolledBack(world, await world.request());
    expect(kinds(world)).toContain('verify');
  });

  it('comes even if the journal was lost after the new value went bad', async () => {
    const world = openWorld();
    expect((await world.request({ crash: { call: 'fleet.instances', when: 'after' } })).kind).toBe('crashed');
    world.source.lose(fresh(world));
    world.loseJournal();
    expectRolledBack(world, await world.request());
  });

  it.each(['after', 'late'] as const)(
    'goes on after a crash that lost the journal, its publication known %s it',
    async (when) => {
      const world = openWorld();
      member(world, 0).refuses = (version) => version === 'v2';
      const crash = { call: 'vault.publish', nth: 2, when };
      expect((await world.request({ crash })).kind).toBe('crashed');
      world.loseJournal();
      // Nothing but the version in the vault still says that a roll back had begun.
      member(world, 0).refuses = () => false;
      member(world, 0).state = { ...member(world, 0).state, refused: {} };
      expectRolledBack(world, await world.request());
    },
  );

  it('does not put the old value over one that a person has published', async () => {
    const world = openWorld();
    member(world, 0).refuses = () => true;
    world.afterCall('source.usage', () => world.vault.set(world.source.setByHand('b', 'b')), 2);
    expect(failureOf(await world.request()).code).toBe('VAULT_CHANGED');
    expect(world.vault.newest()).toMatchObject({ version: 'v3', byKeyturn: false });
    expect(world.source.authenticates(world.vault.newest().value)).toBe(true);
  });
});

describe('a publication', () => {
  it('whose answer was lost is found and not repeated', async () => {
    const world = openWorld();
    world.vault.faultNextPublish({ kind: 'lost' });
    expect(outcomeOf(await world.request()).version).toBe('v2');
    expect(world.source.issued).toHaveLength(2);
    expect([...world.broken]).toEqual([]);
  });

  it('that arrives after its request was given up is waited for', async () => {
    const world = openWorld();
    world.vault.faultNextPublish({ kind: 'late', afterMs: 19_000 });
    expect(outcomeOf(await world.request()).version).toBe('v2');
    expect(world.source.issued).toHaveLength(2);
    expect([...world.broken]).toEqual([]);
  });

  it('is waited for also if the vault can’t be asked at first', async () => {
    const world = openWorld();
    world.vault.faultNextPublish({ kind: 'late', afterMs: 19_000 });
    world.afterCall('vault.publish', () => world.vault.cutOff('versions', 1));
    expect(outcomeOf(await world.request()).version).toBe('v2');
    expect(world.source.issued).toHaveLength(2);
    expect([...world.broken]).toEqual([]);
  });

  it.each(['kept', 'lost'])(
    'that arrives only after a crash is not issued over, journal %s',
    async (journal) => {
      const world = openWorld();
      expect((await world.request({ crash: { call: 'vault.publish', when: 'late' } })).kind).toBe('crashed');
      expect(world.vault.stored).toHaveLength(1);
      if (journal === 'lost') world.loseJournal();
      expect(outcomeOf((await world.recover()) ?? (await world.request())).version).toBe('v2');
      expect(world.source.issued).toHaveLength(2);
      expect([...world.broken]).toEqual([]);
    },
  );

  it('that never gets through is given up and its credential taken back', async () => {
    const world = openWorld();
    world.vault.cutOff('publish', 1_000);
    expect(failureOf(await world.request()).code).toBe('VAULT_UNREACHABLE');
    expect(world.source.live()).toEqual(['a']);
    expect(world.events.some(({ kind }) => kind === 'retrying')).toBe(true);
    expect([...world.broken]).toEqual([]);
  });
});

describe('an issue that fails for good', () => {
  it('is taken back and leaves no orphan', async () => {
    const world = openWorld();
    world.afterCall('source.issue', () => world.source.lose(fresh(world)));
    expect(failureOf(await world.request()).code).toBe('REFUSED');
    expect(world.source.live()).toEqual(['a']);
    expect(world.vault.stored).toHaveLength(1);
    expect(world.source.authenticates(world.oldValue)).toBe(true);
    expect([...world.broken]).toEqual([]);
  });

  it('may be asked for again', async () => {
    const world = openWorld();
    world.source.failNext('issue', new SourceError('FORBIDDEN', 'It lacks a right.'));
    expect(failureOf(await world.request()).code).toBe('FORBIDDEN');
    expect(outcomeOf(await world.request())).toMatchObject({ id: 'orders-db@v1', outcome: 'closed' });
  });

  it('ends nothing that a person’s new version may hold', async () => {
    const world = openWorld();
    world.afterCall('vault.tag', () => world.vault.set(world.source.setByHand('b', 'b')));
    expect(failureOf(await world.request()).code).toBe('VAULT_CHANGED');
    expect(world.source.live()).toEqual(['a', 'b']);
    expect([...world.broken].filter((what) => /^I[1-5]/.test(what))).toEqual([]);
  });
});

describe('a version that somebody else publishes', () => {
  const calls = ['source.issue', 'vault.publish', 'fleet.announce', 'source.usage', 'vault.read'] as const;
  it.each(calls)('after %s ends the rotation with VAULT_CHANGED, and nothing is revoked', async (call) => {
    const world = openWorld({ policy: policyWithout(({ reports }) => reports) });
    world.fleet.vanish();
    // A person sets a new password for the role in slot a: its ref stays the same, the vault can't know.
    world.afterCall(call, () => world.vault.set(world.source.setByHand('a', 'a')));
    expect(failureOf(await world.request()).code).toBe('VAULT_CHANGED');
    expect(world.source.live()).toContain('a');
    expect(world.source.authenticates(world.vault.newest().value)).toBe(true);
    expect(world.outcomes).toEqual([]);
  });

  it('is noticed while waiting, though every instance takes it up and nobody ever converges', async () => {
    const world = openWorld();
    world.afterCall('source.usage', () => {
      world.vault.set(world.source.setByHand('a', 'a'));
      for (const one of world.fleet.members) one.refresh();
    });
    expect(failureOf(await world.request()).code).toBe('VAULT_CHANGED');
    expect(world.clock.now()).toBeLessThan(world.vault.newest().setAt + 2 * 60_000);
    expect(world.source.live()).toEqual(['a', 'b#orders-db@v1']);
  });
});

describe('an old version that a person disables meanwhile', () => {
  it('stops the rotation, which joins again and closes once it is enabled', async () => {
    const world = openWorld();
    world.afterCall('source.usage', () => (world.vault.find('v1').enabled = false));
    const failure = failureOf(await world.request());
    expect(failure).toMatchObject({ code: 'NOT_REFUSED' });
    expect(failure.hint).toContain('Enable that version');
    expect(world.source.authenticates(world.oldValue)).toBe(true);

    expect(failureOf(await world.request()).code).toBe('NOT_REFUSED'); // it does not start a second rotation
    expect(world.source.issued).toHaveLength(2);
    world.vault.find('v1').enabled = true;
    expect(outcomeOf(await world.request())).toMatchObject({ id: 'orders-db@v1', outcome: 'closed' });
    expect([...world.broken]).toEqual([]);
  });
});
