import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretValue } from '@keyturn/source';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../src/journal/embedded-postgres.ts';
import type { MaintenanceWindow } from '../src/policy/window.ts';
import { localAuth } from '../src/server/local-auth.ts';
import { openService, type Service, type ServiceReport } from '../src/service.ts';
import type { Vault } from '../src/vault.ts';
import { vaultUrl } from './fakes/vault.ts';
import { openWorld, usualPolicy } from './fakes/world.ts';

const saturdays: MaintenanceWindow = { days: ['sat'], from: '22:00', to: '04:00', timeZone: 'Europe/Berlin' };
const sunday = Date.parse('2026-03-15T12:00Z');
const opening = '2026-03-21T21:00:00.000Z';
const expiresAt = Date.parse('2026-04-14T12:00Z'); // 30 days later

let folder: string;
let server: EmbeddedPostgres;
let service: Service | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-windows-'));
  server = await startEmbeddedPostgres({
    dataFolder: folder,
    settings: { fsync: 'off' },
    endsWithProcess: true,
  });
});
afterEach(() => service?.close());
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Goes on by itself from that Sunday on, and leaps when it is told to. */
function leapingClock() {
  let ahead = sunday - Date.now();
  return {
    now: () => Date.now() + ahead,
    sleep: (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms)),
    leapTo: (time: string) => (ahead = Date.parse(time) - Date.now()),
  };
}

it('what an event asks for outside of the windows is started at the opening, also after a restart, and an operator waits for none', async () => {
  const worlds = new Map(
    ['orders-db', 'billing-db'].map((secret) => [secret, openWorld({ policy: { secret } })]),
  );
  const world = (secret: string) => worlds.get(secret) ?? openWorld();
  const port = (secret: string) => world(secret).vault.port;
  const vault: Vault = {
    url: vaultUrl,
    current: async (secret) => ({ ...(await port(secret).current(secret)), expiresAt }),
    versions: (secret) => port(secret).versions(secret),
    read: (secret, version) => port(secret).read(secret, version),
    publish: (secret, ...rest) => port(secret).publish(secret, ...rest),
    tag: (secret, ...rest) => port(secret).tag(secret, ...rest),
    disable: (secret, ...rest) => port(secret).disable(secret, ...rest),
  };
  const clock = leapingClock();
  const told: ServiceReport[] = [];
  const open = async () => {
    service = await openService({
      journalUrl: server.url(),
      vault,
      secrets: [...worlds].map(([secret, { source }]) => ({
        source: source.port,
        policy: { ...usualPolicy, secret, windows: [saturdays] },
      })),
      fleet: { host: '127.0.0.1', port: 0 },
      auth: localAuth(),
      events: { kind: 'key', keys: [new SecretValue('the-key')] },
      watchEveryMs: 1_000,
      clock,
      tell: (report) => told.push(report),
    });
    return service;
  };
  const waiting = {
    dueAt: opening,
    dueBecause:
      'it expires within 30 days; it waits for the maintenance window that opens at 2026-03-21T21:00Z',
  };

  const first = await open();
  const body = JSON.stringify([
    {
      id: '1',
      topic: '/t',
      subject: 'orders-db',
      eventType: 'Microsoft.KeyVault.SecretNearExpiry',
      eventTime: '2026-03-15T12:00:00Z',
      dataVersion: '1',
      data: {
        Id: `${vaultUrl}/secrets/orders-db/v1`,
        VaultName: 'orders',
        ObjectType: 'Secret',
        ObjectName: 'orders-db',
        Version: 'v1',
      },
    },
  ]);
  const headers = { 'keyturn-webhook-key': 'the-key', 'content-type': 'application/json' };
  expect((await fetch(`${first.url}/v1/events`, { method: 'POST', headers, body })).status).toBe(202);
  const reason = `version v1 nears its expiry: ${waiting.dueBecause}`;
  await vi.waitFor(
    () => expect(told).toContainEqual(expect.objectContaining({ action: 'defer', reason })),
    10_000,
  );
  expect(await first.operator.secret('orders-db')).toMatchObject(waiting);

  const asked = await first.operator.start({ secret: 'billing-db', by: { who: 'ada', why: 'now' } });
  expect(asked).toMatchObject({ id: 'billing-db@v1', state: 'running' });
  await vi.waitFor(() => expect(world('billing-db').vault.newest().version).toBe('v2'), 10_000);
  await first.close();

  const second = await open();
  await vi.waitFor(
    async () => expect(await second.operator.secret('orders-db')).toMatchObject(waiting),
    10_000,
  );
  clock.leapTo('2026-03-21T20:59:50Z');
  await clock.sleep(6_000); // the schedule looks every 5 s
  expect(await second.operator.rotations({ secret: 'orders-db', limit: 5 })).toEqual([]);
  clock.leapTo(opening);
  await vi.waitFor(async () => {
    const [found] = await second.operator.rotations({ secret: 'orders-db', limit: 5 });
    expect(found?.requested).toMatchObject({ who: 'schedule', why: 'it expires within 30 days' });
  }, 10_000);
}, 60_000);
