import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { announce } from '../src/phases/announce.ts';
import { converge } from '../src/phases/converge.ts';
import { preflight } from '../src/phases/preflight.ts';
import { findPublished, publish } from '../src/phases/publish.ts';
import { revoke } from '../src/phases/revoke.ts';
import { openWorld, type Ending, type Runbook, type World } from './fakes/world.ts';
import type { Crash } from './fakes/process.ts';

/** What may be going on when the rotator dies. */
const stories = {
  'a rotation': () => undefined,
  'a roll back': (world: World) => {
    const [first] = world.fleet.members;
    if (first) first.refuses = (version) => version === 'v2';
  },
  'a publication whose answer is lost': (world: World) => world.vault.faultNextPublish({ kind: 'lost' }),
  'a publication that arrives late': (world: World) =>
    world.vault.faultNextPublish({ kind: 'late', afterMs: 10_500 }),
  'an issue that fails for good': (world: World) => {
    world.afterCall('source.issue', () => {
      const [, fresh] = world.source.issued;
      if (fresh) world.source.lose(fresh);
    });
  },
} satisfies Record<string, (world: World) => void>;

async function undisturbed(tell: (world: World) => void, runbook?: Runbook): Promise<readonly string[]> {
  const world = openWorld(runbook ? { runbook } : {});
  tell(world);
  return (await world.request()).calls;
}

/** A way to die whose call is given by its number. */
type NumberedCrash = Crash & { readonly call: number };

interface Survival {
  readonly crash: string;
  readonly ending: Ending;
  readonly world: World;
}

/** Kills the rotator at every port call in every way, and has the next process go on with or without the journal. */
async function crashEverywhere(
  tell: (world: World) => void,
  journal: 'kept' | 'lost',
  runbook?: Runbook,
): Promise<Survival[]> {
  const calls = await undisturbed(tell, runbook);
  const crashes = calls.flatMap((name, index): NumberedCrash[] => {
    // A source whose effect comes late is waited for as long as the journal says that one was asked.
    const late: Crash['when'][] = name.startsWith('vault.') || journal === 'kept' ? ['late'] : [];
    return (['before', 'after', ...late] as const).map((when) => ({ call: index + 1, when }));
  });
  const survivals: Survival[] = [];
  for (const crash of crashes) {
    const world = openWorld(runbook ? { runbook } : {});
    tell(world);
    const first = await world.request({ crash });
    expect(first.kind).toBe('crashed');
    if (journal === 'lost') world.loseJournal();
    const ending = await goOn(world);
    survivals.push({ crash: `${crash.when} ${crash.call} ${calls[crash.call - 1]}`, ending, world });
  }
  return survivals;
}

/** A new process takes up what is open, or is asked; a rotation that failed for good may be asked for again. */
async function goOn(world: World): Promise<Ending> {
  const ending = (await world.recover()) ?? (await world.request());
  return ending.kind === 'failed' ? world.request() : ending;
}

const cases = Object.keys(stories).flatMap((story) =>
  (['kept', 'lost'] as const).map((journal) => [story as keyof typeof stories, journal] as const),
);

describe('a rotator that is killed before, after and during every call', () => {
  it.each(cases)('during %s, with the journal %s, spoils nothing and ends', async (story, journal) => {
    const survivals = await crashEverywhere(stories[story], journal);
    expect(survivals.length).toBeGreaterThan(30);
    const report = survivals.map(({ crash, ending, world }) => ({
      crash,
      ending: ending.kind,
      broken: [...world.broken],
      ...(ending.kind === 'failed' ? { error: String(ending.error) } : {}),
    }));
    expect(report.filter(({ broken, ending }) => broken.length > 0 || ending !== 'ended')).toEqual([]);
  });
});

/** The runbook without its look into the vault before it issues. */
const issuesBlindly: Runbook = async (run, rotation) => {
  const old = await run.step('preflight', () => preflight(rotation));
  const fresh = await run.step('issue', async () => {
    const { ref, value } = await rotation.source.issue(rotation.id, old.ref);
    await rotation.source.prove(value);
    return publish(rotation, { ref, value, look: findPublished });
  });
  await run.step('announce', () => announce(rotation, fresh));
  const convergence = await converge(run, rotation, { to: fresh, leaving: old.ref });
  const revoked = await run.step('revoke', () => revoke(rotation, { version: rotation.from, ref: old.ref }));
  return {
    id: rotation.id,
    secret: rotation.secret,
    outcome: 'closed',
    version: fresh.version,
    revokedVersion: rotation.from,
    oldCredentialRefused: true,
    overlapMs: revoked.at - fresh.publishedAt,
    convergedMs: convergence.at - fresh.publishedAt,
    notChecked: convergence.notChecked,
  };
};

describe('a runbook that issues again without looking into the vault first', () => {
  it('is caught as I1 once it is killed after the publication, and only then', async () => {
    const world = openWorld({ runbook: issuesBlindly });
    expect((await world.request()).kind).toBe('ended');
    expect([...world.broken]).toEqual([]);

    const survivals = await crashEverywhere(stories['a rotation'], 'kept', issuesBlindly);
    const caught = survivals.filter((one) => [...one.world.broken].some((what) => what.startsWith('I1')));
    expect(caught.map(({ crash }) => crash)).toContainEqual(
      expect.stringMatching(/after \d+ vault\.publish/),
    );
    expect(caught.map(({ crash }) => crash)).toContainEqual(expect.stringMatching(/late \d+ vault\.publish/));
  });
});

describe('a rotator that is killed again and again', () => {
  const crash = fc.record({
    call: fc.integer({ min: 1, max: 45 }),
    when: fc.constantFrom<Crash['when'][]>('before', 'after', 'late'),
    losesJournal: fc.boolean(),
  });
  const story = fc.constantFrom(...(Object.keys(stories) as (keyof typeof stories)[]));

  it('spoils nothing at any instant and ends in the end', async () => {
    const property = fc.asyncProperty(story, fc.array(crash, { maxLength: 5 }), async (name, crashes) => {
      const world = openWorld();
      stories[name](world);
      const losesAny = crashes.some(({ losesJournal }) => losesJournal);
      for (const { losesJournal, ...planned } of crashes) {
        const one: Crash = losesAny && planned.when === 'late' ? { ...planned, when: 'after' } : planned;
        await ((await world.recover({ crash: one })) ?? world.request({ crash: one }));
        if (losesJournal) world.loseJournal();
      }
      const ending = await goOn(world);
      expect([...world.broken]).toEqual([]);
      expect(ending.kind).toBe('ended');
      expect(world.source.live()).toHaveLength(1);
      expect(world.source.authenticates(world.vault.newest().value)).toBe(true);
    });
    await fc.assert(property, { numRuns: 300 });
  });
});
