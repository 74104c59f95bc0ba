import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from '../src/clock.ts';
import type { Drift } from '../src/drift.ts';
import { watchDrift, type DriftWatch } from '../src/triggers/drift-watch.ts';

const dayMs = 86_400_000;

function drifted(secret: string, ...refs: readonly string[]): Drift {
  const findings = refs.map((ref) => ({ check: 'orphan' as const, ref, says: `${ref} lives`, hint: 'look' }));
  return { secret, findings, notChecked: [] };
}

/** Every time that passes is passed by `days`. */
function openScene(secrets: readonly string[]) {
  let now = 0;
  let until = 0;
  let goOn: (() => void)[] = [];
  const clock: Clock = {
    now: () => now,
    async sleep(ms) {
      if (now + ms > until) await new Promise<void>((resolve) => goOn.push(resolve));
      now += ms;
    },
  };
  const looks: { secret: string; at: number }[] = [];
  const told: Drift[] = [];
  const failures: string[] = [];
  const scene = {
    looks,
    told,
    failures,
    found: (secret: string): Promise<Drift | undefined> => Promise.resolve(drifted(secret)),
    watch: undefined as unknown as DriftWatch,
    async days(count: number) {
      until += count * dayMs;
      for (const resolve of goOn.splice(0)) resolve();
      while (goOn.length === 0) await new Promise(setImmediate);
    },
  };
  scene.watch = watchDrift({
    secrets,
    everyMs: dayMs,
    clock,
    find(secret) {
      looks.push({ secret, at: now });
      return scene.found(secret);
    },
    changed: (drift) => void told.push(drift),
    failed: (secret) => void failures.push(secret),
  });
  watches.push(scene.watch);
  return scene;
}

const watches: DriftWatch[] = [];
afterEach(() => watches.splice(0).forEach((watch) => watch.stop()));

describe('the look for drift', () => {
  it('goes round in a day, each secret at a time of its own', async () => {
    const { looks, days } = openScene(['one', 'two', 'three', 'four']);
    expect(looks).toEqual([]);
    await days(2);
    expect(looks.map(({ secret }) => secret)).toEqual('one two three four one two three four'.split(' '));
    expect(looks.map(({ at }) => at / dayMs)).toEqual([0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]);
  });

  it('tells of what is new and of what has changed, once, and of the end of it', async () => {
    const scene = openScene(['one']);
    await scene.days(1);
    expect(scene.told).toEqual([]);
    expect(scene.watch.findings('one')).toBe(0);
    scene.found = async (secret) => drifted(secret, 'b');
    await scene.days(3);
    expect(scene.told).toEqual([drifted('one', 'b')]);
    scene.found = async (secret) => {
      const drift = drifted(secret, 'b');
      return { ...drift, findings: drift.findings.map((one) => ({ ...one, says: 'b lives, one uses it' })) };
    };
    await scene.days(1);
    expect(scene.told).toHaveLength(1);
    scene.found = async (secret) => drifted(secret, 'b', 'c');
    await scene.days(2);
    expect(scene.told).toHaveLength(2);
    expect(scene.watch.findings('one')).toBe(2);
    scene.found = async (secret) => drifted(secret);
    await scene.days(2);
    expect(scene.told.slice(2)).toEqual([drifted('one')]);
    expect(scene.watch.findings('one')).toBe(0);
  });

  it('leaves a secret alone that is being rotated, and remembers what it saw before', async () => {
    const scene = openScene(['one']);
    scene.found = async (secret) => drifted(secret, 'b');
    await scene.days(1);
    scene.found = async () => undefined;
    await scene.days(1);
    expect(scene.watch.findings('one')).toBe(1);
    scene.found = async (secret) => drifted(secret, 'b');
    await scene.days(1);
    expect(scene.told).toHaveLength(1);
  });

  it('goes on with the others if one can not be looked at', async () => {
    const scene = openScene(['one', 'two']);
    scene.found = (secret) =>
      secret === 'one' ? Promise.reject(new Error('no answer')) : Promise.resolve(drifted(secret, 'b'));
    await scene.days(2);
    expect(scene.failures).toEqual(['one', 'one']);
    expect(scene.told).toEqual([drifted('two', 'b')]);
    expect(scene.watch.findings('one')).toBeUndefined();
  });

  it('ends when it is stopped', async () => {
    const scene = openScene(['one']);
    await scene.days(1);
    scene.watch.stop();
    const pass = scene.days(5);
    await new Promise(setImmediate);
    expect(scene.looks).toHaveLength(1);
    void pass;
  });
});
