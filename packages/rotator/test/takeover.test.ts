import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as yieldToOthers } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Clock } from '../src/clock.ts';
import type { JournalOptions } from '../src/journal/journal.ts';
import type { TakenOver } from '../src/journal/takeover.ts';
import type { Requested } from '../src/policy/which-rotation.ts';
import { openSetClock } from './fakes/clock.ts';
import { useJournal } from './journal-world.ts';

const world = useJournal();
const { newRequest, outcome, open, query } = world;
const children: ChildProcess[] = [];

beforeAll(() => query('create table done (rotation text, rotator text)'));
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
});

/** A rotator in a process of its own, whose rotation has come to its convergence. */
async function startOther(executorId: string, request: Requested): Promise<ChildProcess> {
  const program = new URL('children/rotator.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, world.server.url(), executorId, JSON.stringify(request)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const doneOf = (request: Requested) =>
  query<{ rotator: string }>(`select rotator from done where rotation = '${request.id}'`);

describe('several rotators on one database', () => {
  it('the rotation of one that dies is gone on with by another, from where it was', async () => {
    const request = newRequest();
    const other = await startOther('other', request);
    const goneOn = Promise.withResolvers<string>();
    const runbook: JournalOptions['runbook'] = async (run, { id }) => {
      await run.step('issue', async () => void (await query(`insert into done values ('${id}', 'this')`)));
      return run.step('converge', async () => {
        goneOn.resolve(id);
        return outcome(request);
      });
    };
    // The clock runs ahead, so the time of grace is over as soon as it is looked for.
    const taken: TakenOver[] = [];
    const journal = await open(runbook, {
      clock: openSetClock(),
      tookOver: (one) => void taken.push(one),
    });
    await kill(other);
    expect(await goneOn.promise).toBe(request.id);
    expect(taken).toEqual([{ rotation: request.id, from: 'other' }]);
    expect((await journal.run(request)).outcome).toBe('closed');
    expect(await doneOf(request)).toEqual([{ rotator: 'other' }]);
  });

  it('that of one that lives is left alone, however long it takes', async () => {
    const request = newRequest();
    await startOther('another', request);
    let begun = 0;
    const clock = openSetClock();
    const start = clock.now();
    await open(async () => Promise.reject(new Error(`it began ${(begun += 1)}`)), { clock });
    while (clock.now() < start + 3_600_000) await query('select pg_sleep(0.05)');
    expect(begun).toBe(0);
    expect(await doneOf(request)).toEqual([{ rotator: 'another' }]);
  });

  it('the time of grace begins when one dies, however long it has lived', async () => {
    const request = newRequest();
    const other = await startOther('fourth', request);
    let [now, looks, isStill] = [0, 0, false];
    const clock: Clock = {
      now: () => now,
      async sleep(ms) {
        looks += 1;
        if (!isStill) now += ms;
        await yieldToOthers(30);
      },
    };
    const until = async (condition: () => boolean) => {
      while (!condition()) await yieldToOthers(10);
    };
    const taken: TakenOver[] = [];
    const tookOver = (one: TakenOver) => {
      if (one.from === 'fourth') taken.push(one); // other tests have left rotations behind
    };
    await open(async () => outcome(request), { clock, tookOver });
    await until(() => now > 60_000);
    isStill = true;
    await kill(other);
    const isThere = "select 1 from pg_stat_activity where application_name = 'keyturn fourth'";
    while ((await query(isThere)).length > 0) await yieldToOthers(10);
    const looksBefore = looks;
    await until(() => looks > looksBefore + 100);
    expect(taken).toEqual([]);
    isStill = false;
    await until(() => taken.length > 0);
    expect(taken).toEqual([{ rotation: request.id, from: 'fourth' }]);
  }, 60_000);

  it('who asks for a rotation that another one runs hears its outcome', async () => {
    const request = newRequest();
    const other = await startOther('third', request);
    const runbook: JournalOptions['runbook'] = async (run) => {
      await run.step('issue', () => Promise.reject(new Error('it was done before')));
      return run.step('converge', async () => outcome(request));
    };
    const journal = await open(runbook, { clock: openSetClock() });
    const joined = journal.run(request);
    await kill(other);
    expect((await joined).id).toBe(request.id);
  });
});

describe('a rotator that loses its lock in the midst of a step', () => {
  it('changes nothing any more, at the vault or at the source', async () => {
    const request = newRequest();
    const reached = Promise.withResolvers<void>();
    const lost = Promise.withResolvers<void>();
    let changed = 0;
    const journal = await open(
      async (run, { source, vault }) =>
        run.step('revoke', async () => {
          reached.resolve();
          await lost.promise;
          await Promise.race([source.revoke('a'), vault.disable('orders-db', 'v', {})]);
          return outcome(request);
        }),
      {
        executorId: 'fenced',
        rotation: (requested) => {
          const about = world.about(requested);
          const change = async () => void (changed += 1);
          return {
            ...about,
            source: { ...about.source, revoke: change },
            vault: { ...about.vault, disable: change },
          };
        },
      },
    );
    const failure = journal.run(request).catch((error: unknown) => error);
    await reached.promise;
    await query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keyturn fenced'",
    );
    lost.resolve();
    expect(await failure).toMatchObject({ code: 'JOURNAL' });
    await query('select pg_sleep(0.5)'); // time enough for a change that should not come
    expect(changed).toBe(0);
  });
});
