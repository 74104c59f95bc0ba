import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../src/journal/embedded-postgres.ts';

let dataFolder: string;

beforeEach(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'keyturn-server-'));
});
afterEach(async () => {
  await rm(dataFolder, { recursive: true, force: true });
});

function startChild(): ChildProcess {
  const program = fileURLToPath(new URL('./children/start-server.ts', import.meta.url));
  return spawn(process.execPath, [program, dataFolder], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

describe('the embedded PostgreSQL', () => {
  it('keeps its data over a stop', async () => {
    const first = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' } });
    await query(first.url(), 'create table kept as select 42 as answer');
    await first.stop();
    const second = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' } });
    try {
      expect(await query(second.url(), 'select answer from kept')).toEqual([{ answer: 42 }]);
    } finally {
      await second.stop();
    }
  });

  it('refuses a login with another password', async () => {
    const server = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' } });
    try {
      const guessed = server.url().replace(/:[^:@]+@/, ':guessed@');
      await expect(query(guessed, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    } finally {
      await server.stop();
    }
  });

  it('that outlives its killed parent is adopted', async () => {
    const child = startChild();
    const [said] = (await once(child.stdout ?? child, 'data')) as [Buffer];
    await kill(child);
    const adopted = await startEmbeddedPostgres({ dataFolder });
    try {
      expect(adopted.port).toBe(Number(said.toString()));
      expect(await query(adopted.url(), 'show fsync')).toEqual([{ fsync: 'off' }]); // the same server still
    } finally {
      await adopted.stop();
    }
    await expect(query(adopted.url(), 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it.each([
    ['the one that started it', 0],
    ['the one that adopted it', 1],
  ])('that two share lives on when %s has stopped it, and ends with the other', async (_who, first) => {
    const started = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' } });
    const adopted = await startEmbeddedPostgres({ dataFolder });
    expect(adopted.port).toBe(started.port);
    const [one, other] = first === 0 ? [started, adopted] : [adopted, started];
    await one.stop();
    expect(await query(other.url(), 'select 1 as one')).toEqual([{ one: 1 }]);
    await other.stop();
    await expect(query(other.url(), 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('whose last user is just ending it is started anew', async () => {
    const first = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' } });
    const [second] = await Promise.all([startEmbeddedPostgres({ dataFolder }), first.stop()]);
    try {
      expect(await query(second.url(), 'select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await second.stop();
    }
  });

  it('is refused with what to do where there can be no data folder', async () => {
    const file = join(dataFolder, 'file');
    await writeFile(file, '');
    await expect(startEmbeddedPostgres({ dataFolder: join(file, 'data') })).rejects.toMatchObject({
      code: 'JOURNAL',
      message: expect.stringMatching(/data can't be used \(ENOTDIR\)/),
      hint: expect.stringContaining('journal.data'),
    });
  });

  // The first instants are where a start is most tender, the others are drawn by chance, on purpose.
  it.each<[string, () => Promise<unknown>]>([
    ['when initdb has begun', () => appears(/^initialising-/)],
    ['when the cluster is in its place', () => appears(/^postgres$/)],
    ['when the server has written its process id', () => appears(/^postmaster\.pid$/, 'postgres')],
    ['at some instant', () => sleep(Math.random() * 1_500)],
    ['at some later instant', () => sleep(1_000 + Math.random() * 1_500)],
  ])('whose first start is killed %s starts the next time', async (_when, instant) => {
    const child = startChild();
    await instant();
    await kill(child);
    const server = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' } });
    try {
      expect(await query(server.url(), 'select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await server.stop();
    }
  });
});

/** Waits until the data folder, or one in it, has an entry of such a name. */
async function appears(name: RegExp, folder = '.'): Promise<void> {
  for (;;) {
    const entries = await readdir(join(dataFolder, folder)).catch(() => []);
    if (entries.some((entry) => name.test(entry))) return;
    await sleep(1);
  }
}
