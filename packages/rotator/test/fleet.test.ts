import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openAnnouncements, type Announcements } from '../src/fleet/announcements.ts';
import { openRegistry, type Registry } from '../src/fleet/registry.ts';
import { openChanges, type Changes } from '../src/journal/changes.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../src/journal/embedded-postgres.ts';
import { toJournalError } from '../src/journal/journal-error.ts';
import { fleetRoutes } from '../src/server/fleet-routes.ts';
import { listen, type Listening } from '../src/server/listen.ts';
import { openSetClock, type SetClock } from './fakes/clock.ts';
import { vaultUrl } from './fakes/vault.ts';

const leaseMs = 30_000;
const secretsOf = (consumer: string | undefined) =>
  consumer === 'billing' ? ['billing-db'] : ['orders-db', 'billing-db'];
let dataFolder: string;
let server: EmbeddedPostgres;
let pool: Pool;
let clock: SetClock;
let announcements: Announcements;
let changes: Changes;
let registry: Registry;
let listening: Listening;

beforeAll(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'keyturn-fleet-'));
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
  await start();
});
afterEach(stop);

/** A rotator's side of the fleet, as it is after a start. */
async function start(): Promise<void> {
  changes = openChanges(server.url());
  announcements = await openAnnouncements(pool, { vault: vaultUrl, changes });
  registry = await openRegistry(pool, { vault: vaultUrl, leaseMs, clock });
  const app = fleetRoutes({ announcements, registry, heartbeatMs: 20, secretsOf, watches: () => true });
  listening = await listen(app, { host: '127.0.0.1', port: 0 });
}

async function stop(): Promise<void> {
  await listening.close();
  announcements.close();
  await changes.close();
}

async function restart(): Promise<void> {
  await stop();
  await start();
}

function report(body: unknown): Promise<Response> {
  return fetch(`${listening.url}/v1/adoption`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

function adoption(instance: string, version: string, held: readonly string[] = []) {
  return { consumer: 'orders-api', instance, secrets: [{ secret: 'orders-db', version, held }] };
}

async function live(): Promise<string[]> {
  const instances = await registry.instances('orders-db');
  return instances.map(({ instance, version }) => `${instance} ${version}`);
}

/** Reads a stream of announcements until its text matches. */
async function connect(at: { consumer?: string; lastEventId?: number; url?: string } = {}) {
  const { consumer = 'orders-api', lastEventId, url = listening.url } = at;
  const ending = new AbortController();
  const response = await fetch(`${url}/v1/announcements?consumer=${consumer}`, {
    signal: ending.signal,
    headers: lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) },
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    response,
    async until(pattern: RegExp): Promise<string> {
      while (!pattern.test(text)) {
        const part = await reader?.read();
        if (!part || part.done) throw new Error(`The stream ended without ${pattern}: ${text}`);
        text += part.value;
      }
      return text;
    },
    close: () => ending.abort(),
  };
}

describe('announcements', () => {
  it('reach every connected instance', async () => {
    const both = [await connect(), await connect()];
    for (const one of both) await one.until(/connected/);
    await announcements.announce({ secret: 'orders-db', version: 'v2', spreadMs: 0 });
    for (const one of both) {
      const text = await one.until(/"v2".*\n/);
      expect(text).toContain('event: announcement');
      expect(text).toContain('data: {"secret":"orders-db","version":"v2","spreadMs":0}');
      one.close();
    }
    expect(both[0]?.response.headers.get('content-type')).toContain('text/event-stream');
  });

  it('reach an instance that connects later, the standing one of each secret only', async () => {
    await announcements.announce({ secret: 'orders-db', version: 'v2', spreadMs: 0 });
    await announcements.announce({ secret: 'orders-db', version: 'v3', spreadMs: 0 });
    await announcements.announce({ secret: 'billing-db', version: 'w2', spreadMs: 0 });
    const late = await connect();
    const text = await late.until(/w2/);
    expect(text).toContain('"v3"');
    expect(text).not.toContain('"v2"');
    late.close();
  });

  it('are told once, however often they are repeated', async () => {
    const one = await connect();
    for (const version of ['v2', 'v2', 'v2', 'v3'])
      await announcements.announce({ secret: 'orders-db', version, spreadMs: 0 });
    const text = await one.until(/"v3"/);
    expect(text.match(/event: announcement/g)).toHaveLength(2);
    expect(text.match(/^id: (\d+)$/gm)).toEqual(['id: 1', 'id: 2']);
    one.close();
  });

  it('reach the instances at every replica', async () => {
    const otherChanges = openChanges(server.url());
    const other = await openAnnouncements(pool, { vault: vaultUrl, changes: otherChanges });
    const one = await connect();
    await one.until(/connected/);
    await other.announce({ secret: 'orders-db', version: 'v2', spreadMs: 5 });
    expect(await one.until(/"v2"/)).toContain('"spreadMs":5');
    one.close();
    await otherChanges.close();
  });

  it('are made on the condition that nothing else was announced since', async () => {
    const announce = (version: string, onlyAfter: number) =>
      announcements.announce({ secret: 'orders-db', version, spreadMs: 0 }, { onlyAfter });
    await announce('v1', 0);
    const { id = -1 } = announcements.standing('orders-db') ?? {};
    await announce('v2', id);
    await announce('v0', id);
    expect(announcements.standing('orders-db')).toMatchObject({ version: 'v2' });
  });

  it('outlive a restart', async () => {
    await announcements.announce({ secret: 'orders-db', version: 'v2', spreadMs: 0 });
    await restart();
    const one = await connect();
    expect(await one.until(/"v2"/)).toContain('id: 1');
    one.close();
  });

  it('of secrets that a consumer has no part in are kept from it', async () => {
    const one = await connect({ consumer: 'billing' });
    expect(await one.until(/watched.*\n\n/s)).toContain('data: {"secrets":["billing-db"]}');
    await announcements.announce({ secret: 'orders-db', version: 'v2', spreadMs: 0 });
    await announcements.announce({ secret: 'billing-db', version: 'w2', spreadMs: 0 });
    expect(await one.until(/"w2"/)).not.toContain('orders-db');
    one.close();
  });

  it('that an instance has heard long ago are not repeated when it connects again', async () => {
    await announcements.announce({ secret: 'orders-db', version: 'v2', spreadMs: 0 });
    await pool.query("select setval('keyturn.announcement_id', 5000)");
    await announcements.announce({ secret: 'billing-db', version: 'w2', spreadMs: 0 });
    const again = await connect({ lastEventId: 5_001 });
    expect(await again.until(/"w2"/)).not.toContain('"v2"');
    again.close();
    const ofAnotherDatabase = await connect({ lastEventId: 1_000_000 });
    expect(await ofAnotherDatabase.until(/"w2"/)).toContain('"v2"');
    ofAnotherDatabase.close();
  });

  it('come with heartbeats in between, so that a broken connection shows', async () => {
    const one = await connect();
    expect(await one.until(/: beat\n\n.*: beat\n\n/s)).toContain(': connected');
    one.close();
  });
});

describe('adoption', () => {
  it('is what the last report said', async () => {
    expect((await report(adoption('one', 'v1'))).status).toBe(204);
    await report(adoption('two', 'v1'));
    await report(adoption('one', 'v2', ['v1']));
    expect(await registry.instances('orders-db')).toEqual([
      { consumer: 'orders-api', instance: 'one', version: 'v2', held: ['v1'], refused: {} },
      { consumer: 'orders-api', instance: 'two', version: 'v1', held: [], refused: {} },
    ]);
    expect(await registry.instances('billing-db')).toEqual([]);
  });

  it('of many at the same moment is kept of each, and of one the last', async () => {
    const names = Array.from({ length: 150 }, (_, number) => `instance-${String(number).padStart(3, '0')}`);
    const answers = await Promise.all(names.map((instance) => report(adoption(instance, 'v1'))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]));
    expect(await live()).toEqual(names.map((instance) => `${instance} v1`));
    await Promise.all(
      ['v1', 'v2', 'v3'].map((version) =>
        registry.record({
          consumer: 'orders-api',
          instance: 'instance-000',
          secrets: [{ secret: 'orders-db', version, held: [], refused: {} }],
        }),
      ),
    );
    expect((await live())[0]).toBe('instance-000 v3');
  });

  it('ends with a goodbye', async () => {
    await report(adoption('one', 'v1'));
    await report(adoption('two', 'v1'));
    await report({ ...adoption('one', 'v1'), leaving: true });
    expect(await live()).toEqual(['two v1']);
  });

  it('ends when the lease has run out, not before', async () => {
    clock.advance(leaseMs + 1); // the rotator has been up for longer than a lease
    await report(adoption('one', 'v1'));
    clock.advance(leaseMs);
    expect(await live()).toEqual(['one v1']);
    clock.advance(1);
    expect(await live()).toEqual([]);
    await report(adoption('one', 'v1'));
    expect(await live()).toEqual(['one v1']);
  });

  it('of another vault with a secret of that name is none of this one', async () => {
    await report(adoption('one', 'v1'));
    const other = await openRegistry(pool, { vault: 'https://staging.vault.azure.net', leaseMs, clock });
    expect(await other.instances('orders-db')).toEqual([]);
  });

  it('is forgotten once it has ended', async () => {
    await report(adoption('one', 'v1'));
    clock.advance(2 * leaseMs);
    await report(adoption('two', 'v1'));
    expect(await live()).toEqual(['two v1']);
    const { rows } = await pool.query('select instance from keyturn.adoption');
    expect(rows).toEqual([{ instance: 'two' }]);
  });

  it('is known of everyone only some time after a start', async () => {
    await restart();
    expect(registry.settledAt).toBe(clock.now() + 2 * leaseMs);
  });

  it('outlives a restart, after which silence counts from the start', async () => {
    await report(adoption('one', 'v1'));
    clock.advance(100 * leaseMs); // nobody could report while the rotator was down
    await restart();
    clock.advance(leaseMs);
    expect(await live()).toEqual(['one v1']);
    clock.advance(1);
    expect(await live()).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['without its consumer', { ...adoption('one', 'v1'), consumer: undefined }, 'consumer'],
    ['with an empty instance', adoption('', 'v1'), 'instance'],
    [
      'without the versions it holds',
      { ...adoption('one', 'v1'), secrets: [{ secret: 's', version: 'v' }] },
      'secrets.0.held',
    ],
    [
      'with a time that is none',
      {
        ...adoption('one', 'v1'),
        secrets: [{ secret: 's', version: 'v', held: [], authenticatedAt: 'noon' }],
      },
      'secrets.0.authenticatedAt',
    ],
    [
      'with a count below zero',
      { ...adoption('one', 'v1'), secrets: [{ secret: 's', version: 'v', held: [], refused: { v: -1 } }] },
      'secrets.0.refused.v',
    ],
    ['with a NUL in a name', adoption('one\0', 'v1'), 'instance'],
    ['that is no JSON', '{', 'expected object'],
  ])('a report %s is refused and the field named', async (_what, body, field) => {
    const response = await report(body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: string }).error).toContain(field);
    expect(await live()).toEqual([]);
  });
});

describe('a report of adoption', () => {
  it('from a newer client may tell more than is known here', async () => {
    const { secrets, ...rest } = adoption('one', 'v1');
    const newer = secrets.map((one) => ({ ...one, sinceMs: 5 }));
    const response = await report({ ...rest, secrets: newer, region: 'westeurope' });
    expect(response.status).toBe(204);
    expect(await registry.instances('orders-db')).toEqual([
      { consumer: 'orders-api', instance: 'one', version: 'v1', held: [], refused: {} },
    ]);
  });

  it('of more than 64 KiB is refused', async () => {
    const held = Array.from({ length: 100 }, () => 'v'.repeat(200));
    const secrets = Array.from({ length: 4 }, (_, index) => ({ secret: `s${index}`, version: 'v', held }));
    const response = await report({ ...adoption('one', 'v1'), secrets });
    expect(response.status).toBe(413);
    expect(await live()).toEqual([]);
  });

  it('that can’t be kept is answered so, and nothing is printed', async () => {
    const printed = vi.spyOn(console, 'error');
    await pool.query('drop schema keyturn cascade');
    const response = await report(adoption('one', 'v1'));
    expect(response.status).toBe(503);
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
  });
});

describe('a registry whose database fails', () => {
  it('says so as the journal’s failure, which may pass', async () => {
    await pool.query('drop schema keyturn cascade');
    const failure: unknown = await registry.instances('orders-db').catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'RotatorError', code: 'JOURNAL' });
    expect(toJournalError(failure).passing).toBe(true);
  });

  it('tells a right that is lacking from a database that can’t be reached', async () => {
    await pool.query('drop schema keyturn cascade');
    await pool.query("drop role if exists weak; create role weak login password 'weak'");
    const weak = new Pool({ connectionString: server.url().replace(/:\/\/[^@]+@/, '://weak:weak@') });
    const opening = openRegistry(weak, { vault: vaultUrl, leaseMs, clock });
    await expect(opening).rejects.toMatchObject({
      code: 'JOURNAL',
      message: expect.stringContaining('lacks a right'),
      hint: expect.stringContaining('grant create'),
    });
    await weak.end();
  });
});

describe('the address', () => {
  it.each([70_000, -1])('with port %i is refused with what to do', async (port) => {
    const listens = listen(
      fleetRoutes({ announcements, registry, heartbeatMs: 20, secretsOf, watches: () => true }),
      {
        host: '127.0.0.1',
        port,
      },
    );
    await expect(listens).rejects.toMatchObject({
      code: 'LISTEN',
      message: expect.stringContaining('ERR_SOCKET_BAD_PORT'),
      hint: expect.stringContaining('65535'),
    });
  });

  it('that is taken already is refused with what to do', async () => {
    const { port } = new URL(listening.url);
    const again = listen(
      fleetRoutes({ announcements, registry, heartbeatMs: 20, secretsOf, watches: () => true }),
      {
        host: '127.0.0.1',
        port: Number(port),
      },
    );
    await expect(again).rejects.toMatchObject({
      code: 'LISTEN',
      message: expect.stringContaining('EADDRINUSE'),
    });
  });
});
