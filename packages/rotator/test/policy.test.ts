import { describe, expect, it } from 'vitest';
import type { Instance } from '../src/fleet/fleet.ts';
import { hasConverged, judgeConvergence, type ConvergenceFacts } from '../src/policy/converged.ts';
import { mayStart, type StartFacts } from '../src/policy/may-start.ts';
import { overlapMs, overlapTooShort, shortestOverlapMs } from '../src/policy/overlap.ts';
import { whichRotation } from '../src/policy/which-rotation.ts';
import type { VaultVersion, VersionTags } from '../src/vault.ts';
import { usualPolicy } from './fakes/world.ts';

describe('the overlap window', () => {
  it('is at least twice the slowest TTL plus the clock skew', () => {
    expect(shortestOverlapMs(usualPolicy)).toBe(2 * 90_000 + 5_000);
    expect(overlapMs(usualPolicy)).toBe(185_000);
    expect(shortestOverlapMs({ consumers: [], clockSkewMs: 5_000 })).toBe(5_000);
  });

  it('is longer if the configuration says so', () => {
    expect(overlapMs({ ...usualPolicy, overlapMs: 600_000 })).toBe(600_000);
  });

  it('is refused with the arithmetic if the configuration asks for less', () => {
    expect(overlapTooShort({ ...usualPolicy, overlapMs: 184_999 })).toBe(
      'an overlap of 184.999 s is shorter than the shortest safe one: ' +
        "2 × 90 s (the slowest consumer's TTL) + 5 s (clock skew) = 185 s",
    );
    expect(overlapTooShort({ ...usualPolicy, overlapMs: 185_000 })).toBeUndefined();
    expect(overlapTooShort(usualPolicy)).toBeUndefined();
  });
});

function instance(name: string, version: string, held: readonly string[] = []): Instance {
  return { consumer: 'orders-api', instance: name, version, held, refused: {} };
}

const publishedAt = Date.UTC(2026, 0, 1);
const converged: ConvergenceFacts = {
  policy: usualPolicy,
  now: publishedAt + 185_000,
  publishedAt,
  version: 'v2',
  instances: [instance('one', 'v2'), instance('two', 'v2')],
  usage: { sessions: [] },
};

const lacking = {
  clock: { now: publishedAt + 184_999 },
  adoption: { instances: [instance('one', 'v2'), instance('two', 'v1')] },
  usage: { usage: { sessions: [{ client: 'nightly batch' }] } },
} as const satisfies Record<string, Partial<ConvergenceFacts>>;

describe('convergence', () => {
  it('is clock, adoption and usage together', () => {
    const verdicts = judgeConvergence(converged);
    expect(verdicts.map(({ check, passed }) => [check, passed])).toEqual([
      ['clock', true],
      ['adoption', true],
      ['usage', true],
    ]);
    expect(hasConverged(verdicts)).toBe(true);
  });

  it.each(Object.entries(lacking))('does not come while %s alone is lacking', (check, lack) => {
    const verdicts = judgeConvergence({ ...converged, ...lack });
    expect(verdicts.filter(({ passed }) => passed === false).map((one) => one.check)).toEqual([check]);
    expect(hasConverged(verdicts)).toBe(false);
  });

  it('does not come by any one of the three', () => {
    const nothing = { ...lacking.clock, ...lacking.adoption, ...lacking.usage };
    for (const check of ['clock', 'adoption', 'usage'] as const) {
      const { [check]: _, ...others } = lacking;
      const facts: ConvergenceFacts = Object.assign({}, converged, ...Object.values(others));
      expect(hasConverged(judgeConvergence(facts))).toBe(false);
    }
    expect(judgeConvergence({ ...converged, ...nothing }).every(({ passed }) => passed === false)).toBe(true);
  });

  it.each([
    ['an instance on the old version', [instance('one', 'v1'), instance('two', 'v2')], ['orders-api/one']],
    [
      'an instance that holds it open',
      [instance('one', 'v2', ['v1']), instance('two', 'v2')],
      ['orders-api/one'],
    ],
    ['a silent instance', [instance('two', 'v2')], ['orders-api (1 of 2 instances silent)']],
    ['all of them, silent', [], ['orders-api (2 of 2 instances silent)']],
    [
      'one of a consumer that nobody declared',
      [instance('one', 'v2'), instance('two', 'v2'), { ...instance('x', 'v1'), consumer: 'stranger' }],
      ['stranger/x'],
    ],
  ])('names %s', (_who, instances, stragglers) => {
    const adoption = judgeConvergence({ ...converged, instances })[1];
    expect(adoption).toMatchObject({ check: 'adoption', passed: false, stragglers });
  });

  it('names the sessions on the old credential, unnamed ones too', () => {
    const usage = { sessions: [{ client: 'psql' }, { client: '' }] };
    expect(judgeConvergence({ ...converged, usage })[2]?.stragglers).toEqual([
      'session of psql',
      'session of an unnamed client',
    ]);
  });

  it('says what could not be checked, and goes on without it', () => {
    const policy = { ...usualPolicy, consumers: usualPolicy.consumers.filter(({ reports }) => !reports) };
    const verdicts = judgeConvergence({ ...converged, policy, instances: [], usage: 'unknown' });
    expect(verdicts.map(({ passed }) => passed)).toEqual([true, 'not checked', 'not checked']);
    expect(hasConverged(verdicts)).toBe(true);
  });

  it('heeds an instance that reports although no consumer is declared to', () => {
    const policy = { ...usualPolicy, consumers: usualPolicy.consumers.filter(({ reports }) => !reports) };
    const verdicts = judgeConvergence({ ...converged, policy, instances: [instance('one', 'v1')] });
    expect(verdicts[1]).toMatchObject({ passed: false, stragglers: ['orders-api/one'] });
  });
});

const startable: StartFacts = {
  policy: usualPolicy,
  id: 'orders-db@v1',
  from: 'v1',
  current: { version: 'v1' },
  others: [],
  currentAuthenticates: true,
  expiresAt: Date.UTC(2026, 3, 1),
  peoplesTags: 11,
};

describe('a rotation may start', () => {
  it('from the current version, if that works', () => {
    expect(mayStart(startable)).toBeUndefined();
  });

  it('again while its own version is current', () => {
    expect(mayStart({ ...startable, current: { version: 'v2', rotation: 'orders-db@v1' } })).toBeUndefined();
  });

  it('again if its own version is refused, because it is what takes that version back', () => {
    const current = { version: 'v2', rotation: 'orders-db@v1' };
    expect(mayStart({ ...startable, current, currentAuthenticates: false })).toBeUndefined();
  });

  it.each<[string, Partial<StartFacts>, RegExp]>([
    [
      'of a version that is no longer current',
      { current: { version: 'v2' } },
      /v1 is no longer current \(v2 is\)/,
    ],
    [
      'of a version that another rotation has replaced',
      { current: { version: 'v3', rotation: 'orders-db@v2' } },
      /v1 is no longer current/,
    ],
    ['beside another one', { others: ['orders-db@v2'] }, /orders-db@v2 is under way/],
    ['of a value that is refused', { currentAuthenticates: false }, /v1 is refused by the source/],
    [
      'whose old value, current again, is refused',
      { current: { version: 'v3', rotation: 'orders-db@v1', rolledBack: true }, currentAuthenticates: false },
      /v3 is refused by the source/,
    ],
    ['with too short an overlap', { policy: { ...usualPolicy, overlapMs: 1_000 } }, /= 185 s/],
    ['whose tags leave no room for its own', { peoplesTags: 12 }, /12 tags of your own/],
    ['whose expiry the SDK cannot express', { expiresAt: Date.UTC(2038, 0, 19) }, /2038-01-18/],
  ])('but not %s', (_what, facts, reason) => {
    const refusal = mayStart({ ...startable, ...facts });
    expect(refusal?.reason).toMatch(reason);
    expect(refusal?.hint).toBeTruthy();
  });
});

function stored(name: string, tags: VersionTags = {}, enabled = true): VaultVersion {
  return { version: name, enabled, createdAt: publishedAt, tags, peoplesTags: 0 };
}

const id = 'orders-db@v1';
const vault = 'https://orders.vault.azure.net';
const which = (...versions: [VaultVersion, ...VaultVersion[]]) =>
  whichRotation({ vault, secret: 'orders-db', current: versions[0], versions });

describe('a request for a rotation', () => {
  it('replaces the current version', () => {
    expect(which(stored('v1'))).toEqual({ id, vault, secret: 'orders-db', from: 'v1' });
  });

  it('joins the rotation whose overlap is open', () => {
    expect(which(stored('v2', { rotation: id }), stored('v1'))).toMatchObject({ id, from: 'v1' });
  });

  it('joins it also if a person has disabled the old version, whose credential still lives', () => {
    expect(which(stored('v2', { rotation: id }), stored('v1', {}, false))).toMatchObject({ id });
  });

  it.each([true, false])('starts a new one after it closed, the old version enabled: %s', (enabled) => {
    const closed = stored('v1', { refusedAt: publishedAt }, enabled);
    expect(which(stored('v2', { rotation: id }), closed)).toMatchObject({ id: 'orders-db@v2', from: 'v2' });
  });

  it('joins a roll back until the new credential is gone', () => {
    const back = stored('v3', { rotation: id, rolledBack: true });
    expect(which(back, stored('v2', { rotation: id }), stored('v1'))).toMatchObject({ id, from: 'v1' });
    const gone = stored('v2', { rotation: id, refusedAt: publishedAt }, false);
    expect(which(back, gone, stored('v1'))).toMatchObject({ id: 'orders-db@v3', from: 'v3' });
  });

  it('does not join what another secret’s tags speak of, nor what a person has replaced', () => {
    const copied = stored('v2', { rotation: 'billing-db@v1' });
    expect(which(copied, stored('v1'))).toMatchObject({ id: 'orders-db@v2' });
    expect(which(stored('v3'), stored('v2', { rotation: id }), stored('v1'))).toMatchObject({
      id: 'orders-db@v3',
    });
  });
});
