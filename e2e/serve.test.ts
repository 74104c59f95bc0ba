import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { RotationStatus } from '@keyturn/rotator';
import { freePort } from '@keyturn/rotator/free-port';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCli, startCli, writeConfiguration, type Running } from './cli.ts';
import { startClient, type LiveClient } from './kill/clients.ts';
import { checkInvariants } from './kill/invariants.ts';
import { logIn } from './kill/postgres-under-test.ts';
import { buildWorld, secretName, type World } from './world.ts';

interface Scope {
  readonly spans: readonly { readonly name: string; readonly traceId: string }[];
}

interface Replica {
  readonly url: string;
  readonly process: Running;
}

let world: World;
let replicas: Replica[] = [];
let clients: LiveClient[] = [];

beforeAll(async () => void (world = await buildWorld()));
afterAll(() => world.close());
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const { process } of replicas) process.interrupt();
  await Promise.all(replicas.splice(0).map(({ process }) => process.ended));
});

/** So many rotators on one journal, each at an address of its own. */
async function serve(
  count: number,
  {
    instances = 2,
    more = '',
    ofSecret = 'validity: 90d',
    journal = '{ secret: keyturn-journal }',
    environment = {},
  } = {},
): Promise<void> {
  const first = await writeConfiguration(world, { instances }, (text) =>
    `watch: 1s\n${more}${text}`
      .replace('clockSkew:', `${ofSecret}\n    clockSkew:`)
      .replace('{ secret: keyturn-journal }', journal),
  );
  const text = await readFile(first, 'utf8');
  for (let number = 0; number < count; number += 1) {
    const port = number === 0 ? world.orders.fleetPort : await freePort();
    const file = join(world.folder, `replica-${number}.yaml`);
    await writeFile(file, text.replace(/listen: "[^"]*"/, `listen: "127.0.0.1:${port}"`));
    const process = startCli(world, ['serve', '--config', file], environment);
    replicas.push({ url: `http://127.0.0.1:${port}`, process });
    await process.says(/keyturn serves/);
  }
}

/** Instances of the application, each at a replica. */
async function startClients(...at: readonly number[]): Promise<void> {
  for (const replica of at) {
    const { url } = replicas[replica] ?? { url: '' };
    clients.push(await startClient(world, `instance-${clients.length}`, { url }));
  }
}

/** Takes what is posted to it. */
async function startReceiver(take: (body: string) => void): Promise<{ url: string; close(): void }> {
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => (text += chunk));
    request.on('end', () => {
      take(text);
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => void server.close() };
}

/** The managed identity's endpoint, but for what it is given to hand out itself. */
async function startIdentity(
  tokens: Readonly<Record<string, string>>,
): Promise<{ url: string; close(): void }> {
  const { IDENTITY_ENDPOINT: endpoint = '' } = world.emulator.environment;
  const answer = async (request: IncomingMessage): Promise<string> => {
    const asked = new URL(request.url ?? '', endpoint);
    const token = tokens[asked.searchParams.get('resource') ?? ''];
    const expires_on = String(Math.floor(Date.now() / 1_000) + 3_600);
    if (token !== undefined) return JSON.stringify({ access_token: token, expires_on, token_type: 'Bearer' });
    const headers = { 'x-identity-header': String(request.headers['x-identity-header']) };
    return (await fetch(new URL(asked.search, endpoint), { headers })).text();
  };
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    void answer(request).then((body) => response.end(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/msi/token`, close: () => void server.close() };
}

async function api<Answer>(replica: number, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${replicas[replica]?.url}${path}`, {
    ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
    headers: { 'content-type': 'application/json', 'x-keyturn-user': 'ann' },
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as Answer;
}

const pathOf = (id: string): string => `/v1/rotations/${encodeURIComponent(id)}`;

async function whenEnded(replica: number, id: string): Promise<RotationStatus> {
  return vi.waitFor(
    async () => {
      const status = await api<RotationStatus>(replica, pathOf(id));
      if (status.endedAt === undefined) throw new Error(`It is ${status.state} (${status.phase}).`);
      return status;
    },
    { timeout: 55_000, interval: 200 },
  );
}

async function current(): Promise<{ version: string; value: string }> {
  const { value = '', properties } = await world.vault.getSecret(secretName);
  world.values.add(new URL(value).password);
  return { version: properties.version ?? '', value };
}

/** A rotator is taken over after some 20 s, on a busy machine later. */
const timeout = 150_000;

describe('keyturn serve, two of them on one journal', { timeout }, () => {
  it('rotates at the word of an operator, with the instances of both', async () => {
    const traces: { resourceSpans: readonly { scopeSpans: readonly Scope[] }[] }[] = [];
    const collector = await startReceiver((body) => void traces.push(JSON.parse(body)));
    await serve(2, { environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
    await startClients(0, 1);
    const old = await current();
    const logBefore = (await world.sourceLog()).length;
    const asked = await api<RotationStatus>(1, '/v1/rotations', { secret: secretName, why: 'it is time' });
    expect(asked.requested).toMatchObject({ who: 'local:ann', why: 'it is time' });
    const ended = await whenEnded(0, asked.id);
    expect(ended).toMatchObject({ state: 'closed', outcome: { outcome: 'closed', notChecked: [] } });
    expect(ended.version).toBe((await current()).version);
    const failures = clients.flatMap((client) => client.takeFailures());
    const { outcome } = ended;
    expect(await checkInvariants(world, { old, outcome, failures, deadCurrents: [], logBefore })).toEqual([]);

    const lines: { time: string; level: string; event: string; secret?: string }[] = [];
    for (const { process } of replicas.splice(0)) {
      process.interrupt();
      const { code, err } = await process.ended;
      expect(code).toBe(0);
      for (const line of err.trimEnd().split('\n')) lines.push(JSON.parse(line));
    }
    expect(lines.every(({ time, level }) => Date.parse(time) > 0 && level !== undefined)).toBe(true);
    for (const event of ['started', 'requested', 'phase', 'standing', 'ended', 'stopping', 'stopped'])
      expect(lines.map((line) => line.event)).toContain(event);
    expect(lines.find(({ event }) => event === 'ended')).toMatchObject({
      rotation: asked.id,
      secret: secretName,
    });

    const spans = traces
      .flatMap(({ resourceSpans }) => resourceSpans.flatMap(({ scopeSpans }) => scopeSpans))
      .flatMap((scope) => scope.spans);
    for (const name of ['rotation', 'preflight', 'publish', 'converge', 'revoke', 'close'])
      expect(spans.map((span) => span.name)).toContain(name);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    collector.close();
  });

  it('goes on with a rotation whose rotator was killed', async () => {
    await serve(2, { instances: 3 }); // one is missing: it doesn't converge before the kill
    await startClients(1, 1);
    const old = await current();
    const asked = await api<RotationStatus>(0, '/v1/rotations', { secret: secretName, why: 'a test' });
    await vi.waitFor(async () => expect((await current()).version).not.toBe(old.version), {
      timeout: 20_000,
    });
    replicas[0]?.process.kill();
    const killedAt = Date.now();
    await vi.waitFor(
      async () => {
        const { events } = await api<{ events: { at: string }[] }>(1, `${pathOf(asked.id)}/story`);
        expect(events.some(({ at }) => Date.parse(at) > killedAt + 100)).toBe(true);
      },
      { timeout: 60_000, interval: 200 },
    );
    await replicas[1]?.process.says(/"event":"taken over"/);
    await startClients(1);
    expect(await whenEnded(1, asked.id)).toMatchObject({ state: 'closed' });
    expect(await logIn(old.value)).toBe('28P01');
    expect(clients.flatMap((client) => client.takeFailures())).toEqual([]);
  });

  it('hears at one what an operator says at the other, and records who and why', async () => {
    await serve(2, { instances: 3 }); // one is missing: it never converges by itself
    await startClients(0, 1);
    const old = await current();
    const asked = await api<RotationStatus>(0, '/v1/rotations', { secret: secretName, why: 'it is time' });
    await vi.waitFor(
      async () => expect((await api<RotationStatus>(1, pathOf(asked.id))).stragglers).not.toEqual([]),
      { timeout: 20_000, interval: 100 },
    );
    const { url } = replicas[1] ?? { url: '' };
    const proceed = await runCli(world, ['proceed', secretName, '--why', 'the third is gone', '--url', url]);
    expect(proceed.code, proceed.err).toBe(0);
    const ended = await whenEnded(1, asked.id);
    expect(ended).toMatchObject({
      state: 'closed',
      orders: [{ order: 'proceed', why: 'the third is gone' }],
      outcome: { proceeded: { order: 'proceed' } },
    });
    expect(ended.outcome?.notChecked[0]).toMatch(/^convergence: local:.* went on without it/);
    expect(await logIn(old.value)).toBe('28P01');
    expect(clients.flatMap((client) => client.takeFailures())).toEqual([]);
  });

  it('works on a journal that takes an Entra token instead of a password', async () => {
    const token = `a.token.${randomBytes(24).toString('base64url')}`;
    world.values.add(token);
    const administrator = new Client({ connectionString: world.journalUrl });
    await administrator.connect();
    await administrator.query(`create role "keyturn-identity" login password '${token}'`);
    await administrator.query('create database entra owner "keyturn-identity"');
    await administrator.end();
    const identity = await startIdentity({ 'https://ossrdbms-aad.database.windows.net': token });
    await serve(1, {
      journal: `{ url: "postgres://keyturn-identity@127.0.0.1:${new URL(world.journalUrl).port}/entra", entra: true }`,
      environment: { IDENTITY_ENDPOINT: identity.url },
    });
    await startClients(0, 0);
    const asked = await api<RotationStatus>(0, '/v1/rotations', { secret: secretName, why: 'it is time' });
    expect(await whenEnded(0, asked.id)).toMatchObject({ state: 'closed' });
    expect(clients.flatMap((client) => client.takeFailures())).toEqual([]);
    identity.close();
  });

  it('says before an emergency whom it hits', async () => {
    await serve(1, { instances: 3, ofSecret: 'emergency: 1s' });
    await startClients(0, 0);
    const old = await current();
    const { url } = replicas[0] ?? { url: '' };
    const args = ['request', secretName, '--compromised', '--why', 'it leaked', '--url', url];
    const { code, out, err } = await runCli(world, args);
    expect(code).toBe(0);
    expect(err).toContain(`${secretName}: ending its credential at once breaks\n`);
    expect(err).toContain('  orders-api: 1 of 3 instances are not to be seen\n');
    expect(err).toMatch(/ {2}2 connected instances/);
    const id = `${secretName}@${old.version}`;
    expect(out).toContain(id);
    expect(await whenEnded(0, id)).toMatchObject({ state: 'closed', requested: { compromised: true } });
    expect(await logIn(old.value)).toBe('28P01');
  });

  it('rotates by itself when it is time', async () => {
    const old = await current();
    await serve(1, { ofSecret: 'every: 2s' });
    await startClients(0, 0);
    const id = `${secretName}@${old.version}`;
    await vi.waitFor(() => api(0, pathOf(id)), { timeout: 20_000 });
    expect(await whenEnded(0, id)).toMatchObject({
      state: 'closed',
      requested: { who: 'schedule', why: 'it is rotated every 2 s' },
    });
    expect(await logIn(old.value)).toBe('28P01');
    expect(clients.flatMap((client) => client.takeFailures())).toEqual([]);
  });

  it('announces what somebody else has published', async () => {
    await serve(1);
    const { url } = replicas[0] ?? { url: '' };
    // Its own TTL would have it find the version only after the test.
    const client = await startClient(world, 'instance-0', { url, ttlMs: 3_600_000 });
    clients.push(client);
    const { value, version } = await current();
    expect(client.version()).toBe(version);
    const { properties } = await world.vault.setSecret(secretName, value);
    await vi.waitFor(() => expect(client.version()).toBe(properties.version), { timeout: 10_000 });
    expect(client.takeFailures()).toEqual([]);
  });

  it('starts one rotation for a hundred copies of an event, and tells a webhook how it ended', async () => {
    const told: { type: string; subject: string }[] = [];
    const receiver = await startReceiver((body) => void told.push(JSON.parse(body)));
    await world.vault.setSecret('hook-url', `${receiver.url}/`);
    await world.vault.setSecret('hook-key', `whsec_${randomBytes(24).toString('base64')}`);
    await world.vault.setSecret('events-key', 'a key that is long enough to be one');
    const more = [
      'events: { key: { secret: events-key } }',
      'notify: { hook: { format: webhook, url: { secret: hook-url }, key: { secret: hook-key } } }',
      '',
    ].join('\n');
    await serve(1, { more });
    await startClients(0, 0);
    const { version } = await current();
    const event = {
      id: 'event-1',
      eventType: 'Microsoft.KeyVault.SecretNearExpiry',
      eventTime: new Date().toISOString(),
      subject: secretName,
      topic: 'a topic',
      data: {
        Id: `${world.emulator.vaultUrl}/secrets/${secretName}/${version}`,
        VaultName: 'kill',
        ObjectType: 'Secret',
        ObjectName: secretName,
        Version: version,
      },
      dataVersion: '1',
      metadataVersion: '1',
    };
    const deliver = (key: string): Promise<Response> =>
      fetch(`${replicas[0]?.url}/v1/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'keyturn-webhook-key': key },
        body: JSON.stringify([event]),
      });
    expect((await deliver('another key')).status).toBe(401);
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => deliver('a key that is long enough to be one')),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    const id = `${secretName}@${version}`;
    await vi.waitFor(() => api(0, pathOf(id)), { timeout: 10_000 });
    expect(await whenEnded(0, id)).toMatchObject({ state: 'closed', requested: { who: 'event' } });
    await vi.waitFor(() => expect(told.map(({ type }) => type)).toContain('keyturn.rotation.closed'), {
      timeout: 10_000,
    });
    const { rotations } = await api<{ rotations: unknown[] }>(0, '/v1/rotations?limit=1000');
    expect(JSON.stringify(rotations).split('"who":"event"')).toHaveLength(2);
    const metrics = await (await fetch(`${replicas[0]?.url}/metrics`)).text();
    expect(metrics).toContain('keyturn_rotations_total{outcome="closed"} 1');
    expect(metrics).toContain('keyturn_fleet_instances_connected 2');
    const status = await runCli(world, ['status', '--url', replicas[0]?.url ?? '']);
    expect(status).toMatchObject({ code: 0, out: expect.stringContaining(secretName) });
    expect(clients.flatMap((client) => client.takeFailures())).toEqual([]);
    receiver.close();
  });
});
