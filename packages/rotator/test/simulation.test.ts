import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { mutants } from '../simulation/mutants.ts';
import { runSeeds } from '../simulation/seeds.ts';
import { live } from '../simulation/world.ts';

const seeds = 10_000;
const patience = { timeout: 600_000 };

/** What chance has to bring about again and again, or the simulation shows less than it says. */
const paths = {
  closed: 5_000,
  'rolled back': 500,
  held: 1_000,
  deaths: 5_000,
  takeovers: 1_000,
  'journals lost': 500,
  'resumed after a failure': 1_000,
  emergencies: 500,
  'events ignored': 1_000,
  meddlings: 1_000,
  'request: answer lost': 1_000,
  'request: late': 1_000,
  'request: request lost': 1_000,
  'request: throttled': 1_000,
  'ordered: proceed': 100,
  'ordered: roll back': 100,
  'ordered: abort': 100,
  'failed: VAULT_CHANGED': 50,
  'failed: NOT_REFUSED': 50,
} as const;

describe('a simulated rotation', () => {
  it(`keeps every invariant and ends, in ${seeds} worlds of chance`, patience, async () => {
    const { broken, counts } = await runSeeds({ seeds });
    expect(broken).toEqual([]);
    const rare = Object.entries(paths).filter(([path, times]) => (counts[path] ?? 0) < times);
    expect(rare.map(([path]) => `${path}: ${counts[path] ?? 0}`)).toEqual([]);
  });

  it('is told again word for word by its seed', async () => {
    const first = await live(3, { told: true });
    expect(first.story.length).toBeGreaterThan(10);
    expect(await live(3, { told: true })).toEqual(first);
    expect((await live(4, { told: true })).story).not.toEqual(first.story);
  });

  it.each(mutants)(`is caught within ${seeds} worlds if it $name`, patience, async (mutant) => {
    const { broken } = await runSeeds({ seeds, mutant, untilBroken: true });
    expect(broken).not.toEqual([]);
  });

  it('refuses a mutant whose line is not there', async () => {
    const mutant = { name: 'nothing', file: 'runbook.ts', replace: 'not there', by: '' };
    await expect(runSeeds({ seeds: 1, mutant })).rejects.toThrow('runbook.ts has 0 of the text');
  });
});

describe('the command', () => {
  const main = fileURLToPath(new URL('../simulation/main.ts', import.meta.url));
  const simulate = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });

  it('tells the story of a seed, also as JSON', () => {
    const { status, stdout } = simulate('--seed', '3');
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('is published') });
    expect(JSON.parse(simulate('--seed', '3', '--json').stdout)).toMatchObject({ seed: 3, broken: null });
  });

  it('sums up what happened in many', () => {
    const { status, stdout } = simulate('--seeds', '20', '--json');
    expect({ status, summary: JSON.parse(stdout) }).toMatchObject({
      status: 0,
      summary: { seeds: 20, broken: [] },
    });
  });

  it('says in one line what it does not understand', () => {
    const { status, stderr } = simulate('--seeds', 'many');
    expect({ status, stderr }).toEqual({ status: 2, stderr: '--seeds takes a whole number, not "many".\n' });
  });
});
