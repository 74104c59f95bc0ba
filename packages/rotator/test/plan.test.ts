import { startEmulator } from '@keyturn/emulator';
import { SecretClient } from '@azure/keyvault-secrets';
import { SourceError, type SourceFinding } from '@keyturn/source';
import { describe, expect, it } from 'vitest';
import type { JournalView } from '../src/journal-view.ts';
import { keyVault } from '../src/key-vault.ts';
import { plan, type Plan, type PlanOptions } from '../src/plan.ts';
import { isAlone, startChecks, type StartFacts } from '../src/policy/may-start.ts';
import { judgePlan } from '../src/policy/plan-checks.ts';
import type { SecretPolicy } from '../src/policy/secret-policy.ts';
import { vaultBudget } from '../src/policy/vault-budget.ts';
import { RotatorError } from '../src/rotator-error.ts';
import type { Vault } from '../src/vault.ts';
import { openWorld, secret, usualPolicy, type World } from './fakes/world.ts';

const away: JournalView = {
  openRotation: () => Promise.reject(new RotatorError('JOURNAL', 'The journal is away.')),
  instances: () => Promise.reject(new RotatorError('JOURNAL', 'The journal is away.')),
};

function optionsOf(world: World): PlanOptions {
  const journal: JournalView = {
    openRotation: async () => {
      const open = world.attempts.find(({ state }) => state === 'open');
      return open && { id: open.request.id, attended: false };
    },
    instances: () => world.fleet.port.instances(secret),
  };
  const { policy, clock } = world;
  return { policy, source: world.source.port, vault: world.vault.port, journal, clock };
}

const planned = (world: World, more: Partial<PlanOptions> = {}): Promise<Plan> =>
  plan({ ...optionsOf(world), ...more });

function about({ findings }: Plan, check: string) {
  return findings.filter((one) => one.check === check);
}

const stops = ({ findings }: Plan) =>
  findings.filter(({ mark }) => mark === 'stop').map(({ check }) => check);

describe('a plan', () => {
  it('says what a rotation would do, with the numbers, and what nobody could see', async () => {
    const made = await planned(openWorld());
    expect(made).toMatchObject({
      mayStart: true,
      rotation: { id: 'orders-db@v1', from: 'v1', as: 'start' },
      shortestOverlapMs: 185_000,
      overlapMs: 185_000,
      deadlineAt: '2026-01-01T01:10:00.000Z',
      expiresAt: '2026-04-01T01:00:00.000Z',
    });
    expect(about(made, 'overlap')[0]?.says).toBe(
      "185 s at least: 2 × 90 s (the slowest consumer's TTL) + 5 s (clock skew) = 185 s",
    );
    expect(about(made, 'consumers').map(({ mark, says }) => `${mark}: ${says}`)).toEqual([
      'ok: orders-api: TTL 60 s, 2 of 2 instances seen (2 on v1)',
      "ok: reports: TTL 90 s, does not report; the clock and the source's usage speak for it",
    ]);
    const open = made.findings.filter(({ mark }) => mark === 'not checked').map(({ check }) => check);
    expect(open).toEqual(['vault: set', 'rights at the source', 'alternate login', 'revocation']);
  });

  it('changes nothing, whatever stands', async () => {
    const world = openWorld();
    const state = () =>
      JSON.stringify([
        world.vault.stored,
        world.source.live(),
        world.source.issued.length,
        world.fleet.announced,
      ]);
    const before = state();
    await planned(world);
    expect(state()).toBe(before);
    await world.request({ crash: { call: 'vault.publish', when: 'after' } });
    const between = state();
    await planned(world);
    expect(state()).toBe(between);
    expect([...world.broken]).toEqual([]);
  });

  it('agrees with what the rotation then does', async () => {
    const prepare: Record<string, (world: World) => unknown> = {
      healthy: () => undefined,
      'a refused value': (world) => world.source.lose(world.oldValue),
      'two credentials': (world) => world.source.setByHand('b', 'b'),
      'too many tags': (world) => (world.vault.find('v1').peoplesTags = 12),
      'a source set up wrongly': (world) =>
        world.source.failNext('list', new SourceError('MISCONFIGURED', 'It is set up so.'), 1_000),
    };
    for (const [what, happen] of Object.entries(prepare)) {
      const world = openWorld();
      happen(world);
      const { mayStart } = await planned(world);
      expect([what, mayStart]).toEqual([what, (await world.request()).kind === 'ended']);
    }
  });

  it('stops at a slot that somebody uses', async () => {
    const world = openWorld();
    world.vault.find('v1').tags = { credential: 'a' };
    const value = world.source.setByHand('b', 'b');
    world.source.login(value, 'nightly batch');
    const made = await planned(world);
    expect(stops(made)).toEqual(['free slot']);
    expect(about(made, 'free slot')[0]?.says).toContain('a session of nightly batch');
  });

  it.each([
    ['source.issue', 'resume', 'ok'],
    ['vault.publish', 'resume', 'ok'],
  ] as const)('of a rotation that died after %s is to %s it', async (call, as, mark) => {
    const world = openWorld();
    await world.request({ crash: { call, when: 'after' } });
    const made = await planned(world);
    expect(made).toMatchObject({ mayStart: true, rotation: { id: 'orders-db@v1', as } });
    expect(about(made, 'free slot')[0]?.mark).toBe(mark);
    world.loseJournal();
    if (call === 'vault.publish') expect((await planned(world)).rotation?.as).toBe('resume');
  });

  it('warns of instances that are not there, and of those that nobody expects', async () => {
    const world = openWorld();
    world.fleet.members[0]?.vanish();
    world.fleet.start('nightly', 'one');
    expect(
      about(await planned(world), 'consumers').map(({ mark, says }) => [mark, says.split(',')[0]]),
    ).toEqual([
      ['warn', 'orders-api: TTL 60 s'],
      ['ok', 'reports: TTL 90 s'],
      ['warn', 'nightly/one uses it and is no configured consumer; its TTL is not in the overlap'],
    ]);
  });

  it('does without the journal, and says what it could not see', async () => {
    const made = await planned(openWorld(), { journal: away });
    expect(made.mayStart).toBe(true);
    expect(about(made, 'rotation').map(({ mark }) => mark)).toEqual(['ok', 'not checked']);
    expect(about(made, 'consumers').every(({ mark }) => mark === 'not checked')).toBe(true);
  });

  it('names a vault that is away once, and judges nothing by it', async () => {
    const world = openWorld();
    world.vault.cutOff('current', 100);
    const made = await planned(world);
    expect(stops(made)).toEqual(['vault: get']);
    expect(made.rotation).toBeUndefined();
  });

  it('tells what the source finds', async () => {
    const world = openWorld();
    const findings: SourceFinding[] = [
      { about: 'rights', mark: 'stop', says: 'It may not.', hint: 'Let it.' },
      { about: 'revocation', mark: 'ok', says: 'ends 3 sessions' },
    ];
    const source = { ...world.source.port, inspect: async () => ({ findings, issued: [] }) };
    const made = await planned(world, { source });
    expect(stops(made)).toEqual(['rights at the source']);
    expect(about(made, 'revocation')).toEqual([{ check: 'revocation', mark: 'ok', says: 'ends 3 sessions' }]);
    expect(about(made, 'alternate login')[0]?.mark).toBe('not checked');
  });

  it('warns where the deadline comes before the overlap is over', async () => {
    const made = await planned(openWorld({ policy: { deadlineMs: 60_000 } }));
    expect(about(made, 'deadline')[0]?.mark).toBe('warn');
  });
});

describe('the maintenance windows in a plan', () => {
  const window = (from: string, to: string) => ({ days: ['thu', 'fri'] as const, from, to, timeZone: 'UTC' });
  // It is Thursday, 2026-01-01T01:00Z.
  const said = async (policy: Partial<SecretPolicy>, expires: { expiresAt?: number } = {}) => {
    const world = openWorld({ policy });
    const { port } = world.vault;
    const current: Vault['current'] = async (name) => ({ ...(await port.current(name)), ...expires });
    const made = await planned(world, { vault: { ...port, current } });
    expect(made.mayStart).toBe(true);
    return about(made, 'windows').map(({ mark, says }) => `${mark}: ${says}`);
  };
  const anyTime = 'the schedule and events start it inside only, a request of an operator at any time';

  it('are named, with whether one is open and when one opens', async () => {
    expect(await said({ windows: [window('22:00', '04:00')] })).toEqual([
      `ok: thu, fri 22:00–04:00 UTC: closed now, opens at 2026-01-01T22:00Z; ${anyTime}`,
    ]);
    expect(await said({ windows: [window('00:30', '04:00')] })).toEqual([
      `ok: thu, fri 00:30–04:00 UTC: open now, until 2026-01-01T04:00Z; ${anyTime}`,
    ]);
    expect(await said({})).toEqual([]);
  });

  it('are a warning where they open too late for the expiry, or too rarely', async () => {
    const expiring = { expiresAt: Date.parse('2026-01-01T22:01Z') };
    expect(await said({ windows: [window('22:00', '04:00')] }, expiring)).toEqual([
      expect.stringMatching(
        /^warn: .* it does not wait .* the expiry at 2026-01-01T22:01Z and an overlap of 185 s/,
      ),
    ]);
    expect(await said({ windows: [window('22:00', '04:00')], everyMs: 86 * 86_400_000 })).toEqual([
      expect.stringMatching(/^ok/),
      expect.stringMatching(/^warn: they are closed for up to 5.8 days .* is due 4 days before its expiry/),
    ]);
  });
});

describe('what keeps a rotation from starting', () => {
  const fine: StartFacts = {
    policy: usualPolicy,
    id: 'orders-db@v1',
    from: 'v1',
    current: { version: 'v1' },
    others: [],
    currentAuthenticates: true,
    expiresAt: 0,
    peoplesTags: 0,
  };
  const breaks: readonly Partial<StartFacts>[] = [
    { from: 'v0' },
    { currentAuthenticates: false },
    { policy: { ...usualPolicy, overlapMs: 1 } },
    { expiresAt: Date.UTC(2039, 0) },
    { peoplesTags: 15 },
  ];

  it('keeps it from starting in the plan too, check by check', () => {
    const nothing = { failure: { code: 'X', message: 'not looked at' } };
    const judged = startChecks.filter((check) => check !== isAlone); // what is under way is joined, says the plan
    const seen = judged.map((check) => {
      const broken = breaks.find((one) => check({ ...fine, ...one }) !== undefined);
      const start = { ...fine, ...broken };
      const findings = judgePlan({
        policy: start.policy,
        now: 0,
        current: { seen: { version: 'v1', enabled: true, createdAt: 0, tags: {}, peoplesTags: 0 } },
        versions: { seen: [] },
        update: { seen: 'allowed' },
        open: { seen: undefined },
        rotation: { seen: { id: 'orders-db@v1', from: 'v1', as: 'start' } },
        start: { seen: start },
        ref: { seen: 'a' },
        others: { seen: [] },
        instances: nothing,
      });
      const said = check(start)?.reason;
      return findings.some(({ mark, says }) => mark === 'stop' && says === said);
    });
    expect(seen).toEqual(judged.map(() => true));
  });
});

describe('the vault budget', () => {
  it.each([{}, { overlapMs: 3_600_000 }, { pollMs: 5_000 }])(
    'with %j is never less than what a rotation costs, nor much more',
    async (policy) => {
      const world = openWorld({ policy });
      const { calls } = await world.request();
      const costs: Record<string, number> = { publish: 1, tag: 2, disable: 2 };
      const spent = calls
        .filter((call) => call.startsWith('vault.') || call.startsWith('source.'))
        .reduce((sum, call) => sum + (costs[call.slice('vault.'.length)] ?? 1), 0);
      const { others } = vaultBudget(world.policy, { instances: 2, versions: 1 });
      expect(others).toBeGreaterThanOrEqual(spent);
      expect(others).toBeLessThan(2 * spent);
    },
  );

  it('asks for the reads of many instances to be spread', () => {
    const spread = (instances: number) => vaultBudget(usualPolicy, { instances, versions: 1 }).spreadMs;
    expect([spread(3_000), spread(5_000), spread(20_000)]).toEqual([0, 20_000, 60_000]);
  });
});

describe('the rights at a real vault', () => {
  it('are seen without a change: update by a version that does not exist, the rest by reading', async () => {
    const emulator = await startEmulator({
      identities: [
        { name: 'officer', roles: [{ role: 'Key Vault Secrets Officer', scope: 'local' }] },
        { name: 'reader', roles: [{ role: 'Key Vault Secrets User', scope: 'local' }] },
      ],
    });
    const { vaultUrl: url, clientOptions } = emulator;
    try {
      const client = new SecretClient(url, emulator.identities.get('officer').credential, clientOptions);
      await client.setSecret(secret, 'planted');
      const marksOf = async (identity: string) => {
        const credential = emulator.identities.get(identity).credential;
        const vault = keyVault({ url, credential, clientOptions, requestTimeoutMs: 2_000 });
        const { findings } = await planned(openWorld(), { vault });
        const rights = findings.filter(({ check }) => check.startsWith('vault: '));
        return rights.map(({ check, mark }) => `${check} ${mark}`);
      };
      const seen = ['vault: get ok', 'vault: list ok'];
      expect(await marksOf('officer')).toEqual([...seen, 'vault: update ok', 'vault: set not checked']);
      expect(await marksOf('reader')).toEqual([...seen, 'vault: update stop', 'vault: set not checked']);
      const tags = [];
      for await (const version of client.listPropertiesOfSecretVersions(secret)) tags.push(version.tags);
      expect(tags).toEqual([undefined]);
    } finally {
      await emulator.close();
    }
  });
});
