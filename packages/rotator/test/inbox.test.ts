import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../src/journal/embedded-postgres.ts';
import { openInbox, type HandleEvent, type Inbox } from '../src/triggers/inbox.ts';
import type { VaultEvent } from '../src/triggers/vault-event.ts';
import { workInbox, type InboxReport, type InboxWorkOptions } from '../src/triggers/work-inbox.ts';
import { openSetClock, type SetClock } from './fakes/clock.ts';
import { vaultUrl } from './fakes/vault.ts';

let dataFolder: string;
let server: EmbeddedPostgres;
let pool: Pool;
let clock: SetClock;
let inbox: Inbox;

beforeAll(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'keyturn-inbox-'));
  server = await startEmbeddedPostgres({ dataFolder, settings: { fsync: 'off' }, endsWithProcess: true });
  pool = new Pool({ connectionString: server.url() });
  pool.on('error', () => undefined);
});
afterAll(async () => {
  await pool.end();
  await server.stop();
  await rm(dataFolder, { recursive: true, force: true });
});
beforeEach(async () => {
  clock = openSetClock();
  await pool.query('drop schema if exists keyturn cascade');
  inbox = await open();
});

/** Another one on the same database is another rotator's, or this one's after a restart. */
function open(more: { pool?: Pool; handleWithinMs?: number } = {}): Promise<Inbox> {
  const { pool: own = pool, handleWithinMs = 10_000 } = more;
  return openInbox(own, { clock, random: () => 1, handleWithinMs });
}

function event(version: string, more: Partial<VaultEvent> = {}): VaultEvent {
  const at = { vault: vaultUrl, secret: 'orders-db', at: clock.now(), eventId: `id of ${version}` };
  return { kind: 'near expiry', version, ...at, ...more };
}

const nothing: HandleEvent = async () => undefined;

/** Handles what is due and says which versions that were. */
async function takeAll(from = inbox): Promise<string[]> {
  const versions: string[] = [];
  while ((await from.take(async ({ version }) => void versions.push(version))).kind !== 'nothing due');
  return versions;
}

const refuse: HandleEvent = () => Promise.reject(new Error('the vault is away'));

describe('accepting', () => {
  it('keeps an event whole, across restarts', async () => {
    const accepted = event('v1', { kind: 'new version' });
    await inbox.accept([accepted]);
    const taken = await (await open()).take(nothing);
    expect(taken).toEqual({ kind: 'handled', event: accepted });
    expect(await inbox.take(nothing)).toEqual({ kind: 'nothing due' });
  });

  it('makes one row of 10,000 copies, also when rotators and deliveries compete', async () => {
    const others = [inbox, await open(), await open()];
    const copies = Array.from({ length: 10_000 }, (_, index) => event('v1', { eventId: `copy ${index}` }));
    const deliveries = Array.from({ length: 200 }, (_, index) => copies.slice(50 * index, 50 * index + 50));
    await Promise.all(deliveries.map((one, index) => others[index % 3]?.accept(one)));
    expect((await pool.query('select from keyturn.inbox')).rowCount).toBe(1);
    expect(await takeAll()).toEqual(['v1']);
  });

  it('knows an event that was handled already', async () => {
    await inbox.accept([event('v1')]);
    await takeAll();
    await inbox.accept([event('v1', { eventId: 'again', at: clock.now() + 5 })]);
    expect(await takeAll()).toEqual([]);
  });

  it('takes names of secrets that differ in capitals for one, and all else apart', async () => {
    await inbox.accept([
      event('v1'),
      event('v1', { secret: 'Orders-DB' }),
      event('v1', { secret: 'billing-db' }),
      event('v1', { kind: 'expired' }),
      event('v1', { vault: 'https://staging.vault.azure.net' }),
      event('v2'),
    ]);
    expect(await takeAll()).toHaveLength(5);
  });

  it('in opposite orders at once ends in no deadlock', async () => {
    const other = await open();
    for (let round = 0; round < 20; round += 1) {
      const events = Array.from({ length: 200 }, (_, index) => event(`v${round}x${index}`));
      await Promise.all([inbox.accept(events), other.accept(events.toReversed())]);
    }
    expect((await pool.query('select from keyturn.inbox')).rowCount).toBe(4_000);
  });

  it('writes what comes at the same time together', async () => {
    const statements = vi.spyOn(pool, 'query');
    await Promise.all(Array.from({ length: 500 }, (_, index) => inbox.accept([event(`v${index}`)])));
    expect(statements.mock.calls.length).toBe(2);
    statements.mockRestore();
    expect(await takeAll()).toHaveLength(500);
  });

  it('says so when the events could not be stored, and goes on when they can', async () => {
    await pool.query('alter table keyturn.inbox rename to away');
    const both = await Promise.allSettled([inbox.accept([event('v1')]), inbox.accept([event('v2')])]);
    for (const one of both)
      expect(one).toMatchObject({ status: 'rejected', reason: { name: 'RotatorError', code: 'JOURNAL' } });
    await pool.query('alter table keyturn.away rename to inbox');
    await inbox.accept([event('v1')]);
    expect(await takeAll()).toEqual(['v1']);
  });

  it('lets in no more than can wait while the database hangs', async () => {
    const blocker = await pool.connect();
    await blocker.query('begin; lock table keyturn.inbox');
    const hanging = inbox.accept([event('first')]);
    const waiting = inbox.accept(Array.from({ length: 20_000 }, (_, index) => event(`v${index}`)));
    await expect(inbox.accept([event('late')])).rejects.toMatchObject({ code: 'JOURNAL' });
    await blocker.query('commit');
    blocker.release();
    await Promise.all([hanging, waiting]);
    await inbox.accept([event('late')]);
    expect((await pool.query('select from keyturn.inbox')).rowCount).toBe(20_002);
  });
});

describe('taking', () => {
  it('hands out the oldest first', async () => {
    await inbox.accept([event('second', { at: clock.now() + 2 }), event('first')]);
    clock.advance(1);
    await inbox.accept([event('late one, third', { at: 0 })]);
    expect(await takeAll()).toEqual(['first', 'second', 'late one, third']);
  });

  it('hands each event to one rotator at a time, and the next to the next', async () => {
    await inbox.accept([event('v1'), event('v2', { at: clock.now() + 1 })]);
    const release = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const first = inbox.take(async () => {
      began.resolve();
      await release.promise;
    });
    await began.promise;
    expect(await takeAll(await open())).toEqual(['v2']);
    release.resolve();
    expect(await first).toMatchObject({ kind: 'handled', event: { version: 'v1' } });
    expect(await takeAll()).toEqual([]);
  });

  it('brings a failing event again after growing delays, and the others meanwhile', async () => {
    await inbox.accept([event('v1')]);
    for (const [attempts, nextInMs] of [
      [1, 1_000],
      [2, 2_000],
      [3, 4_000],
    ]) {
      expect(await inbox.take(refuse)).toMatchObject({ kind: 'failed', attempts, nextInMs });
      await inbox.accept([event(`after ${attempts}`)]);
      expect(await takeAll()).toEqual([`after ${attempts}`]);
      clock.advance((nextInMs ?? 0) - 1);
      expect(await takeAll()).toEqual([]);
      clock.advance(1);
    }
    expect(await takeAll()).toEqual(['v1']);
  });

  it('waits ten minutes at most', async () => {
    await inbox.accept([event('v1')]);
    await pool.query('update keyturn.inbox set attempts = 1000');
    expect(await inbox.take(refuse)).toMatchObject({ attempts: 1_001, nextInMs: 600_000 });
  });

  it('takes an event back from a handler that hangs', async () => {
    inbox = await open({ handleWithinMs: 20 });
    await inbox.accept([event('v1')]);
    const taken = await inbox.take(() => new Promise(() => undefined));
    expect(taken).toMatchObject({ kind: 'failed', error: { message: 'It took longer than 20 ms.' } });
    clock.advance(1_000);
    expect(await takeAll()).toEqual(['v1']);
  });

  it('gives an event back at once when the process that handled it dies', async () => {
    const dying = new Pool({ connectionString: server.url(), application_name: 'dying' });
    dying.on('error', () => undefined);
    const other = await open({ pool: dying });
    await inbox.accept([event('v1')]);
    const release = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const taking = other.take(async () => {
      began.resolve();
      await release.promise;
    });
    await began.promise;
    const ended = await pool.query(
      "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'dying'",
    );
    expect(ended.rowCount).toBe(1);
    expect(await takeAll()).toEqual(['v1']);
    release.resolve();
    await expect(taking).rejects.toMatchObject({ code: 'JOURNAL' });
    await dying.end();
  });
});

describe('pruning', () => {
  it('forgets what was handled long ago, and nothing that waits', async () => {
    await inbox.accept([event('handled')]);
    await takeAll();
    await inbox.accept([event('failing')]);
    await inbox.take(refuse);
    clock.advance(86_400_000);
    expect(await inbox.prune({ keepMs: 86_400_000 })).toBe(0);
    clock.advance(1);
    expect(await inbox.prune({ keepMs: 86_400_000 })).toBe(1);
    expect(await takeAll()).toEqual(['failing']);
  });
});

describe('several rotators that start at once', () => {
  it('open the inbox without getting into each other’s way', async () => {
    for (let round = 0; round < 5; round += 1) {
      await pool.query('drop schema keyturn cascade');
      await Promise.all(Array.from({ length: 6 }, () => open()));
    }
    await inbox.accept([event('v1')]);
    expect(await takeAll()).toEqual(['v1']);
  });
});

describe('the work at the inbox', () => {
  let work: ReturnType<typeof workInbox> | undefined;
  let reports: InboxReport[];
  let handled: string[];

  beforeEach(() => {
    reports = [];
    handled = [];
  });
  afterEach(() => work?.stop());

  function start(more: Partial<InboxWorkOptions> = {}): void {
    const handle: HandleEvent = async ({ version }) => void handled.push(version);
    const report = (one: InboxReport) => void reports.push(one);
    work = workInbox({ inbox, handle, atOnce: 2, pollMs: 60_000, keepMs: 1, report, ...more });
  }

  it('begins as soon as something is accepted, long before the poll', async () => {
    start();
    await inbox.accept([event('v1')]);
    await vi.waitFor(() => expect(handled).toEqual(['v1']));
    await inbox.accept([event('v2'), event('v3')]);
    await vi.waitFor(() => expect(handled.toSorted()).toEqual(['v1', 'v2', 'v3']));
  });

  it('looks again when something came while it saw nothing', async () => {
    const news = Promise.withResolvers<void>();
    const tell: (() => void)[] = [];
    const looks: HandleEvent[] = [];
    const late: Inbox = {
      ...inbox,
      onAccepted: (listener) => (tell.push(listener), () => undefined),
      async take(handle) {
        looks.push(handle);
        if (looks.length === 1) for (const listener of tell) listener();
        else news.resolve();
        return { kind: 'nothing due' };
      },
    };
    start({ inbox: late, atOnce: 1 });
    await news.promise;
    expect(looks).toHaveLength(2);
  });

  it('finds by polling what another rotator accepted', async () => {
    start({ pollMs: 10 });
    await (await open()).accept([event('v1')]);
    await vi.waitFor(() => expect(handled).toEqual(['v1']));
  });

  it('goes on with the others while one hangs', async () => {
    const release = Promise.withResolvers<void>();
    start({
      handle: async ({ version }) => {
        if (version === 'slow') await release.promise;
        handled.push(version);
      },
    });
    await inbox.accept([event('slow')]);
    await inbox.accept([event('v1'), event('v2')]);
    await vi.waitFor(() => expect(handled.toSorted()).toEqual(['v1', 'v2']));
    release.resolve();
  });

  it('shared by two rotators does everything once', async () => {
    start({ pollMs: 5 });
    const second = workInbox({
      inbox: await open(),
      handle: async ({ version }) => void handled.push(version),
      atOnce: 2,
      pollMs: 5,
      keepMs: 1,
      report: () => undefined,
    });
    const versions = Array.from({ length: 200 }, (_, index) => `v${index}`);
    await inbox.accept(versions.map((version) => event(version)));
    await vi.waitFor(() => expect(handled.length).toBeGreaterThanOrEqual(200), { timeout: 10_000 });
    await second.stop();
    expect(handled.toSorted()).toEqual(versions.toSorted());
  });

  it('tells of a database that is away, and goes on when it is back', async () => {
    start({ pollMs: 10 });
    await pool.query('alter table keyturn.inbox rename to away');
    await vi.waitFor(() =>
      expect(reports).toContainEqual({
        kind: 'inbox unreadable',
        error: expect.objectContaining({ code: 'JOURNAL' }),
      }),
    );
    await pool.query('alter table keyturn.away rename to inbox');
    await inbox.accept([event('v1')]);
    await vi.waitFor(() => expect(handled).toEqual(['v1']));
  });

  it('stops when the handlers are done, and begins nothing more', async () => {
    const release = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    start({
      atOnce: 1,
      handle: async ({ version }) => {
        began.resolve();
        await release.promise;
        handled.push(version);
      },
    });
    await inbox.accept([event('v1'), event('v2', { at: clock.now() + 1 })]);
    await began.promise;
    const stopped = work?.stop();
    release.resolve();
    await stopped;
    expect(handled).toEqual(['v1']);
    expect(await takeAll()).toEqual(['v2']);
  });
});
