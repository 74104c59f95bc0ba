import { Pool } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { openRegistry } from '../src/fleet/registry.ts';
import { openJournalView, type OpenJournalView } from '../src/journal-view.ts';
import { openSetClock } from './fakes/clock.ts';
import { vaultUrl } from './fakes/vault.ts';
import { useJournal } from './journal-world.ts';

const leaseMs = 30_000;
const world = useJournal();
const clock = openSetClock();
let view: OpenJournalView | undefined;
afterEach(() => view?.close());

async function open(): Promise<OpenJournalView> {
  view = await openJournalView({ url: world.server.url(), vault: vaultUrl, leaseMs, clock });
  return view;
}

const schemas = () =>
  world.query<{ name: string }>(
    "select nspname as name from pg_namespace where nspname in ('dbos', 'keyturn')",
  );

describe('a view of a journal', () => {
  it('finds nothing where nobody ever worked, and makes nothing there', async () => {
    const { openRotation, instances } = await open();
    expect([await openRotation('orders-db'), await instances('orders-db')]).toEqual([undefined, []]);
    expect(await schemas()).toEqual([]);
  });

  it('shows the rotation that is open, and whether a rotator is at it', async () => {
    const request = world.newRequest();
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const journal = await world.open(async () => {
      begun.resolve();
      await end.promise;
      return world.outcome(request);
    });
    const { openRotation } = await open();
    const ended = journal.run(request);
    await begun.promise;
    expect(await openRotation('orders-db')).toEqual({ id: request.id, attended: true });
    expect(await openRotation('orders')).toBeUndefined();
    end.resolve();
    await ended;
    expect(await openRotation('orders-db')).toBeUndefined();
  });

  it('keeps to itself while a rotator is at work, whatever its name', async () => {
    await world.open(async (run) => world.outcome({ ...world.newRequest(), id: run.id }));
    const { whileNobodyRotates } = await open();
    for (const name of ['test', 'another'])
      await expect(whileNobodyRotates(name, async () => 'done')).rejects.toMatchObject({ code: 'BUSY' });
  });

  it('does what it is asked to where nobody is at work', async () => {
    const { whileNobodyRotates } = await open();
    expect(await whileNobodyRotates('test', async () => 'done')).toBe('done');
  });

  it('shows the instances within their lease, and tidies nothing up', async () => {
    const pool = new Pool({ connectionString: world.server.url() });
    const registry = await openRegistry(pool, { vault: vaultUrl, leaseMs, clock });
    const report = (instance: string) =>
      registry.record({
        consumer: 'orders-api',
        instance,
        secrets: [{ secret: 'orders-db', version: 'v1', held: [], refused: {} }],
      });
    await report('gone');
    clock.advance(leaseMs + 1_000);
    await report('here');
    const { instances } = await open();
    expect(await instances('orders-db')).toMatchObject([{ instance: 'here', version: 'v1' }]);
    expect(await world.query('select from keyturn.adoption')).toHaveLength(2);
    await pool.end();
  });
});
