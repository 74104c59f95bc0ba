import { SourceError } from '@keyturn/source';
import { describe, expect, it } from 'vitest';
import { openWorld, secret, type World } from './fakes/world.ts';
import { failureOf } from './endings.ts';

/** In the overlap of v1 and v2, somebody sets the value of v2 again, as v3, and says which credential that is. */
async function republished(): Promise<World> {
  const world = openWorld();
  world.afterCall('source.usage', () => {
    const { value, tags } = world.vault.newest();
    world.vault.set(value, tags.credential === undefined ? {} : { credential: tags.credential });
    for (const member of world.fleet.members) member.adopts = false; // they stay on v1
  });
  expect(failureOf(await world.request()).code).toBe('VAULT_CHANGED');
  expect(world.vault.newest()).toMatchObject({ version: 'v3', tags: { credential: 'b#orders-db@v1' } });
  return world;
}

describe('a rotation whose new credential would take a slot that is in use', () => {
  it('does not start while an enabled version holds what is in it', async () => {
    const world = await republished();
    for (const { name } of world.fleet.members) world.source.logout(name); // its users are between two logins
    const failure = failureOf(await world.request());
    expect(failure).toMatchObject({ code: 'PREFLIGHT', hint: expect.stringContaining('disable') });
    expect(failure.message).toContain(
      'a, whose slot the new credential would take, is still in use by version v1',
    );
    expect(world.source.authenticates(world.oldValue)).toBe(true);
    expect([...world.broken]).toEqual([]);
  });

  it('does not start while sessions of it live, and names them', async () => {
    const world = await republished();
    world.vault.find('v1').enabled = false;
    const failure = failureOf(await world.request());
    expect(failure.code).toBe('PREFLIGHT');
    expect(failure.message).toContain('a session of orders-api/one, a session of orders-api/two');
    expect(world.source.authenticates(world.oldValue)).toBe(true);
  });

  it('does not start while an instance says that it holds it, though the source can not tell and the version is disabled', async () => {
    const world = await republished();
    world.source.hideUsage();
    world.vault.find('v1').enabled = false;
    const failure = failureOf(await world.request());
    expect(failure.code).toBe('PREFLIGHT');
    expect(failure.message).toContain('is still in use by orders-api/one, orders-api/two');
    expect(world.source.authenticates(world.oldValue)).toBe(true);
  });

  it('starts once nobody is left in it', async () => {
    const world = await republished();
    world.vault.find('v1').enabled = false;
    for (const member of world.fleet.members) {
      member.adopts = true;
      member.refresh();
    }
    expect((await world.request()).kind).toBe('ended');
    expect(world.source.live()).toEqual(['a#orders-db@v3']);
  });
});

describe('a source that a rotation can’t work with', () => {
  it.each(['MISCONFIGURED', 'AMBIGUOUS'] as const)(
    'and says %s before anything is changed refuses the start',
    async (code) => {
      const world = openWorld();
      world.source.failNext('list', new SourceError(code, 'It is set up so.', { hint: 'Mend it.' }));
      expect(failureOf(await world.request())).toMatchObject({
        code: 'PREFLIGHT',
        message: 'It is set up so.',
        hint: 'Mend it.',
      });
      expect(world.source.issued).toHaveLength(1);
    },
  );

  it.each([
    ['MISCONFIGURED', 'MISCONFIGURED'],
    ['AMBIGUOUS', 'AMBIGUOUS'],
    ['UNEXPECTED', 'SOURCE'],
  ] as const)('and says %s after that fails as %s', async (code, told) => {
    const world = openWorld();
    world.source.failNext('revoke', new SourceError(code, 'It is set up so.'), 1_000);
    expect(failureOf(await world.request()).code).toBe(told);
    expect(world.vault.newest().version).toBe('v2');
  });
});

describe('a version with tags of people’s own', () => {
  it.each([
    [11, 'ended', 2],
    [12, 'failed', 1],
  ] as const)('of which there are %i: the rotation %s', async (peoplesTags, kind, versions) => {
    const world = openWorld();
    world.vault.find('v1').peoplesTags = peoplesTags;
    const ending = await world.request();
    expect(ending.kind).toBe(kind);
    expect(world.vault.stored).toHaveLength(versions);
    if (kind === 'failed') {
      expect(failureOf(ending)).toMatchObject({ code: 'PREFLIGHT', hint: 'Remove 1 of these tags.' });
      expect(world.source.issued).toHaveLength(1);
    }
  });
});

describe('a rotation of another vault', () => {
  it('that was begun with this journal ends no credential here', async () => {
    const world = openWorld();
    const request = { id: `${secret}@w1`, vault: 'https://prod.vault.azure.net', secret, from: 'w1' };
    const old = { ref: 'b#of-prod', incarnation: 'of prod', rolledBack: false };
    world.findInJournal(request, [{ name: 'preflight', result: old }]);
    expect(failureOf(await world.recover()).code).toBe('VAULT_CHANGED');
    expect(world.source.authenticates(world.oldValue)).toBe(true);
    expect([...world.broken]).toEqual([]);
  });

  it('is told from one whose version is gone', async () => {
    const world = openWorld();
    const request = { id: `${secret}@w1`, vault: world.vault.port.url, secret, from: 'w1' };
    world.findInJournal(request, []);
    expect(failureOf(await world.recover())).toMatchObject({
      code: 'VAULT_UNEXPECTED',
      hint: expect.stringContaining('another one'),
    });
  });
});

describe('an issue that fails because the source is down', () => {
  it('ends with what it failed for, without waiting as long again', async () => {
    const world = openWorld();
    world.vault.find('v1').tags = { credential: 'a' };
    world.afterCall('source.list', () => {
      world.source.failNext('issue', new SourceError('UNREACHABLE', 'The issue had no answer.'), 1_000);
      world.source.failNext('list', new SourceError('UNREACHABLE', 'The list had no answer.'), 1_000);
    });
    const startedAt = world.clock.now();
    const failure = failureOf(await world.request());
    expect(failure).toMatchObject({ code: 'UNREACHABLE', message: 'The issue had no answer.' });
    expect(world.clock.now() - startedAt).toBeLessThan(1.5 * world.policy.retryForMs);
  });
});
