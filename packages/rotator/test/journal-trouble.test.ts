import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SourceError } from '@keyturn/source';
import { beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../src/journal/embedded-postgres.ts';
import type { JournalOptions } from '../src/journal/journal.ts';
import { useJournal } from './journal-world.ts';

const world = useJournal();
const { newRequest, outcome, open, query } = world;

const nothing: JournalOptions['runbook'] = async () => Promise.reject(new Error('nothing is run'));

/** The connection that holds the lock, ended as a failover or an administrator would. */
async function breakLock(): Promise<void> {
  await query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keyturn test'",
  );
}

describe('a journal that two vaults share', () => {
  it('keeps their rotations of one name apart, also at a start', async () => {
    const request = newRequest();
    const staging = { ...request, vault: 'https://staging.vault.azure.net' };
    const done: string[] = [];
    const reached = Promise.withResolvers<void>();
    let goesOn = false;
    const runbook: JournalOptions['runbook'] = async (durable, { from }) => {
      await durable.step('converge', async () => {
        reached.resolve();
        if (!goesOn) await new Promise(() => undefined);
      });
      await durable.step('revoke', async () => void done.push(`prod ${from}`));
      return outcome(request);
    };
    const prod = await open(runbook);
    void prod.run(request).catch(() => undefined);
    await reached.promise;
    await prod.close();

    const other = await open(
      async (durable, { from }) => {
        await durable.step('revoke', async () => void done.push(`staging ${from}`));
        return { ...outcome(staging), version: 'of staging' };
      },
      { vault: staging.vault },
    );
    expect(await other.unfinished('orders-db')).toEqual([]);
    expect(await other.run(staging)).toMatchObject({ version: 'of staging' });
    const [row] = await query<{ status: string }>(
      `select status from dbos.workflow_status where workflow_uuid = '${request.vault} ${request.id}'`,
    );
    expect(row).toEqual({ status: 'PENDING' });
    await other.close();

    goesOn = true;
    const again = await open(runbook);
    expect(await again.unfinished('orders-db')).toEqual([request]);
    expect(await again.run(request)).toMatchObject({ version: 'next' });
    expect(done).toEqual([`staging ${request.from}`, `prod ${request.from}`]);
  });
});

describe('a rotator that loses its lock', () => {
  it('begins no further step and says so; the next one goes on from there', async () => {
    const request = newRequest();
    const done: string[] = [];
    const reached = Promise.withResolvers<void>();
    const issued = Promise.withResolvers<void>();
    const between = Promise.withResolvers<void>();
    const runbook: JournalOptions['runbook'] = async (durable) => {
      await durable.step('issue', async () => {
        done.push('issue');
        reached.resolve();
        await issued.promise;
      });
      between.resolve();
      await durable.step('revoke', async () => void done.push('revoke'));
      return outcome(request);
    };
    const first = await open(runbook);
    const failure = first.run(request).catch((error: unknown) => error);
    await reached.promise;
    await breakLock();
    expect(await failure).toMatchObject({
      code: 'JOURNAL',
      message: expect.stringMatching(/the lock of this rotator/),
      hint: expect.stringContaining('run again to resume'),
    });
    issued.resolve();
    await between.promise;
    await query('select pg_sleep(0.5)'); // time enough for a step that should not come
    expect(done).toEqual(['issue']);
    await expect(first.run(request)).rejects.toMatchObject({ code: 'JOURNAL' });
    await expect(first.unfinished('orders-db')).rejects.toMatchObject({ code: 'JOURNAL' });
    await first.close();

    expect((await (await open(runbook)).run(request)).outcome).toBe('closed');
    expect(done).toEqual(['issue', 'revoke']);
  });

  it('does not try again what failed before', async () => {
    const request = newRequest();
    let tries = 0;
    const opened = await open(async (durable) =>
      durable.step('issue', async () => {
        tries += 1;
        await breakLock();
        throw new SourceError('UNREACHABLE', 'No answer.');
      }),
    );
    await expect(opened.run(request)).rejects.toMatchObject({ code: 'JOURNAL' });
    await query('select pg_sleep(0.5)');
    expect(tries).toBe(1);
  });

  it('with its whole database ends too, and can be closed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keyturn-journal-'));
    const own = await startEmbeddedPostgres({
      dataFolder: folder,
      settings: { fsync: 'off' },
      endsWithProcess: true,
    });
    const reached = Promise.withResolvers<void>();
    const opened = await open(
      async (durable) => {
        reached.resolve();
        await durable.signal('operator', 600_000);
        return outcome(newRequest());
      },
      { url: own.url() },
    );
    const failure = opened.run(newRequest()).catch((error: unknown) => error);
    await reached.promise;
    await own.stop();
    expect(await failure).toMatchObject({ code: 'JOURNAL' });
    await opened.close();
    await rm(folder, { recursive: true, force: true });
  });
});

describe('a journal that can’t be opened', () => {
  const urlWith = (login: string, database = 'postgres') =>
    `postgres://${login}@127.0.0.1:${world.server.port}/${database}`;

  beforeAll(async () => {
    await query("create role weak login password 'weak'");
    await query('create database empty');
  });

  it.each<[string, () => string, RegExp, RegExp]>([
    ['for want of a right', () => urlWith('weak:weak', 'empty'), /lacks a right.*42501/, /grant create/],
    ['for a wrong password', () => urlWith('weak:wrong'), /refuses the login.*28P01/, /password/],
    [
      'for a database that is not there',
      () => urlWith('weak:weak', 'none'),
      /refuses the login.*3D000/,
      /database/,
    ],
    ['because nobody answers', () => 'postgres://127.0.0.1:1/none', /can't be reached.*ECONNREFUSED/, /URL/],
  ])('%s says so, and leaves the name of the rotator free', async (_why, url, message, hint) => {
    const opening = open(nothing, { url: url() });
    await expect(opening).rejects.toMatchObject({
      name: 'RotatorError',
      code: 'JOURNAL',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
    await open(nothing);
    const [locks] = await query<{ held: number }>(
      "select count(*)::int as held from pg_stat_activity where application_name = 'keyturn test'",
    );
    expect(locks).toEqual({ held: 1 });
  });
});
