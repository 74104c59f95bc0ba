import { Pool } from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RotationEvent, RotationRecord } from '../src/events.ts';
import { openHistory, type History } from '../src/history/history.ts';
import { statusAfter } from '../src/history/status-after.ts';
import { openChanges, type Changes } from '../src/journal/changes.ts';
import type { RotationStatus } from '../src/operations.ts';
import { vaultUrl } from './fakes/vault.ts';
import { useJournal } from './journal-world.ts';

const request = { who: 'ann', why: 'it is time', at: '2026-01-01T00:00:00.000Z' };
const given = { order: 'abort', who: 'bob', why: 'enough', at: '2026-01-01T00:00:09.000Z' } as const;
const outcome = {
  id: 'orders-db@v1',
  secret: 'orders-db',
  outcome: 'closed',
  version: 'v2',
  revokedVersion: 'v1',
  oldCredentialRefused: true,
  overlapMs: 1,
  convergedMs: 1,
  notChecked: [],
} as const;

let second = 0;
function record(event: RotationEvent, rotation = 'orders-db@v1'): RotationRecord {
  second += 1;
  return { ...event, rotation, at: new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString() };
}

function standing(stragglers: readonly string[]): RotationEvent {
  const verdict = {
    check: 'adoption',
    passed: stragglers.length === 0,
    why: `${second}`,
    stragglers,
  } as const;
  const at = { version: 'v2', leaving: 'a', converged: false, instances: [] };
  return { kind: 'standing', ...at, verdicts: [verdict] };
}

const after = (...events: readonly RotationEvent[]): RotationStatus | undefined =>
  events.reduce<RotationStatus | undefined>((before, event) => statusAfter(before, record(event)), undefined);

describe('the status of a rotation', () => {
  it('says who asked for it, where it is and who keeps it waiting', () => {
    const status = after(
      { kind: 'requested', request },
      { kind: 'phase', phase: 'preflight' },
      { kind: 'phase', phase: 'converge' },
      standing(['orders-api/two']),
    );
    expect(status).toMatchObject({
      id: 'orders-db@v1',
      secret: 'orders-db',
      from: 'v1',
      state: 'running',
      phase: 'converge',
      version: 'v2',
      requested: request,
      stragglers: ['orders-api/two'],
    });
  });

  it.each<[string, readonly RotationEvent[], Partial<RotationStatus>]>([
    ['awaiting approval', [{ kind: 'awaiting approval', request }], {}],
    [
      'held',
      [{ kind: 'held', stragglers: ['x'] }, standing(['x']), { kind: 'phase', phase: 'converge' }],
      { stragglers: ['x'] },
    ],
    [
      'running',
      [
        { kind: 'awaiting approval', request },
        { kind: 'phase', phase: 'preflight' },
      ],
      {},
    ],
    ['closed', [standing(['x']), { kind: 'ended', outcome }], { outcome, stragglers: [] }],
    [
      'failed',
      [{ kind: 'failed', code: 'SOURCE', message: 'No.' }],
      { failure: { code: 'SOURCE', message: 'No.' } },
    ],
    ['aborted', [{ kind: 'failed', code: 'ABORTED', message: 'Bob.' }], {}],
    [
      'running',
      [
        { kind: 'failed', code: 'SOURCE', message: 'No.' },
        { kind: 'requested', request },
      ],
      {},
    ],
  ])('is %s', (state, events, more) => {
    expect(after(...events)).toMatchObject({ state, ...more });
  });

  it('forgets the failure of an attempt when the next one begins, not the orders', () => {
    const status = after(
      { kind: 'order', given },
      { kind: 'failed', code: 'ABORTED', message: 'Bob.' },
      { kind: 'requested', request },
    );
    expect(status).not.toHaveProperty('failure');
    expect(status).not.toHaveProperty('endedAt');
    expect(status?.orders).toEqual([given]);
  });
});

describe('the history', () => {
  const world = useJournal();
  let pool: Pool;
  let changes: Changes;
  let history: History;

  beforeEach(async () => {
    await world.query('drop schema if exists keyturn cascade');
    pool = new Pool({ connectionString: world.server.url() });
    pool.on('error', () => undefined);
    changes = openChanges(world.server.url());
    history = await openHistory(pool, { vault: vaultUrl, changes });
  });
  afterEach(async () => {
    await history.close();
    await changes.close();
    await pool.end();
  });

  it('keeps the story of a rotation in its order, without what says the same again', async () => {
    const events: RotationEvent[] = [
      { kind: 'requested', request },
      { kind: 'phase', phase: 'converge' },
      standing(['x']),
      standing(['x']),
      standing(['x', 'y']),
      { kind: 'ended', outcome },
    ];
    for (const event of events) history.record(record(event));
    await history.close();
    const kept = await history.story('orders-db@v1');
    expect(kept.map(({ kind }) => kind)).toEqual(['requested', 'phase', 'standing', 'standing', 'ended']);
    expect(await history.rotation('orders-db@v1')).toMatchObject({ state: 'closed', requested: request });
  });

  it('lists rotations newest first, of one secret or of all', async () => {
    for (const id of ['orders-db@v1', 'billing@w1', 'orders-db@v2'])
      history.record(record({ kind: 'requested', request }, id));
    await history.close();
    const ids = async (of: Parameters<History['rotations']>[0]) =>
      (await history.rotations(of)).map(({ id }) => id);
    expect(await ids({ limit: 10 })).toEqual(['orders-db@v2', 'billing@w1', 'orders-db@v1']);
    expect(await ids({ limit: 1, secret: 'orders-db' })).toEqual(['orders-db@v2']);
  });

  it('names for each secret what is open and what ended last', async () => {
    history.record(record({ kind: 'ended', outcome }, 'orders-db@v1'));
    history.record(record({ kind: 'ended', outcome }, 'orders-db@v2'));
    history.record(record({ kind: 'requested', request }, 'orders-db@v3'));
    await history.close();
    const latest = await history.latest();
    expect(latest.get('orders-db')?.map(({ id }) => id)).toEqual(['orders-db@v3', 'orders-db@v2']);
  });

  it('names what may be forgotten: what has ended, but for the newest two of each secret, and forgets it whole', async () => {
    const ended = [
      'orders-db@v1',
      'billing@w1',
      'orders-db@v2',
      'orders-db@v4',
      'orders-db@v5',
      'orders-db@v6',
    ];
    history.record(record({ kind: 'requested', request }, 'orders-db@v3')); // still open, before v4
    for (const id of ended) history.record(record({ kind: 'ended', outcome }, id));
    await history.close();
    const later = '2027-01-01T00:00:00.000Z';
    expect(await history.endedBefore(later, 10)).toEqual(['orders-db@v1', 'orders-db@v2', 'orders-db@v4']);
    expect(await history.endedBefore(later, 1)).toEqual(['orders-db@v1']);
    expect(await history.endedBefore('2026-01-01T00:00:00.000Z', 10)).toEqual([]);

    await history.forget(['orders-db@v1', 'orders-db@v2']);
    expect(await history.rotation('orders-db@v1')).toBeUndefined();
    expect(await history.story('orders-db@v2')).toEqual([]);
    expect(await history.story('orders-db@v4')).toHaveLength(1);
    expect(await history.endedBefore(later, 10)).toEqual(['orders-db@v4']);
  });

  it('tells every replica what one of them records, once and in order', async () => {
    const otherChanges = openChanges(world.server.url());
    const other = await openHistory(pool, { vault: vaultUrl, changes: otherChanges });
    const heard: string[] = [];
    other.watch(({ kind }) => heard.push(kind));
    history.record(record({ kind: 'requested', request }));
    history.record(record({ kind: 'held', stragglers: [] }));
    history.record(record({ kind: 'ended', outcome }));
    await vi.waitFor(() => expect(heard).toContain('ended'), { timeout: 5_000 });
    expect(heard).toEqual(['requested', 'held', 'ended']);
    await other.close();
    await otherChanges.close();
  });

  it('keeps later what can’t be kept now', async () => {
    await world.query('alter table keyturn.event rename to event_away');
    history.record(record({ kind: 'requested', request }));
    await world.query('select pg_sleep(0.2)');
    await world.query('alter table keyturn.event_away rename to event');
    await vi.waitFor(async () => expect(await history.story('orders-db@v1')).toHaveLength(1), {
      timeout: 5_000,
    });
  });
});
