import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../src/journal/embedded-postgres.ts';
import { localAuth } from '../src/server/local-auth.ts';
import { openService, type Service, type ServiceReport } from '../src/service.ts';
import { openWorld, usualPolicy } from './fakes/world.ts';

let folder: string;
let server: EmbeddedPostgres;
let service: Service | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyturn-drift-'));
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

it('a service finds by itself what nobody accounts for, tells of it, and leaves it alone', async () => {
  const { vault, source } = openWorld();
  const told: ServiceReport[] = [];
  const drifts = () => told.filter(({ kind }) => kind === 'drift');
  service = await openService({
    journalUrl: server.url(),
    vault: vault.port,
    secrets: [{ source: source.port, policy: usualPolicy }],
    fleet: { host: '127.0.0.1', port: 0 },
    auth: localAuth(),
    watchEveryMs: 1_000,
    driftEveryMs: 100,
    tell: (report) => told.push(report),
  });
  const url = `${service.url}/metrics`;
  const findings = async () =>
    /keyturn_drift_findings\{secret="orders-db"\} (\d+)/.exec(await (await fetch(url)).text())?.[1];
  await vi.waitFor(async () => expect(await findings()).toBe('0'), 10_000);
  expect(drifts()).toEqual([]);

  const [current] = await source.port.list();
  const { ref } = await source.port.issue('orders-db@lost', current);
  await vi.waitFor(() => expect(drifts()).toHaveLength(1), 10_000);
  expect(drifts()[0]).toMatchObject({
    secret: 'orders-db',
    findings: expect.arrayContaining([expect.objectContaining({ check: 'orphan', ref })]),
  });
  expect(Number(await findings())).toBeGreaterThan(0);
  expect(await source.port.list()).toContain(ref);
}, 60_000);
