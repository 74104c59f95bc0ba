import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openSecrets, type RotatorOptions, type Secrets, type SecretsEvents } from '../src/index.ts';
import { fakeClock, type FakeClock } from './fakes/fake-clock.ts';
import { startFakeRotator, type FakeRotator } from './fakes/fake-rotator.ts';
import { fakeVault, type FakeVault } from './fakes/fake-vault.ts';

const hour = 3_600_000;
let rotator: FakeRotator;
let vault: FakeVault;
let clock: FakeClock;
let secrets: Secrets;

beforeEach(async () => {
  rotator = await startFakeRotator();
  vault = fakeVault('v1');
  clock = fakeClock();
  secrets = open();
  await connected(1);
});
afterEach(async () => {
  await secrets.close();
  await rotator.close();
});

function open(options: Partial<RotatorOptions> = {}): Secrets {
  return openSecrets({
    vault,
    clock,
    random: () => 0.5,
    rotator: {
      url: rotator.url,
      consumer: 'orders-api',
      instance: 'orders-api-1',
      heartbeatTimeoutMs: 24 * hour,
      ...options,
    },
  });
}

/** The clock stands still while real HTTP is under way: move it a little until something holds. */
async function eventually(holds: () => void | Promise<void>, stepMs = 0): Promise<void> {
  await vi.waitFor(
    async () => {
      await clock.advance(stepMs);
      await holds();
    },
    { interval: 5, timeout: 5_000 },
  );
}

/** Moves the clock on while the rotator's beat goes on. */
async function keepAlive(ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 30 * 60_000) {
    rotator.send(': beat\n\n');
    await clock.advance(30 * 60_000);
  }
}

const connected = (times: number) => eventually(() => expect(rotator.connects).toHaveLength(times), 100);
const readsOf = (name: string) => vault.reads.filter((read) => read.name === name).length;
const lastReport = () => rotator.reports.at(-1);
const versionNow = async () => (await secrets.get('db')).version;
const reported = (secret: object) =>
  eventually(() => expect(lastReport()?.secrets).toMatchObject([{ secret: 'db', ...secret }]));

test('an announced version is read at once', async () => {
  await secrets.get('db');
  vault.publish('v2');
  rotator.announce('db', 'v2');
  await eventually(async () => expect(await versionNow()).toBe('v2'));
  expect(vault.reads).toHaveLength(2);
});

test('an announcement that is satisfied already costs nothing', async () => {
  await secrets.get('db');
  rotator.announce('db', 'v1');
  vault.publish('v2');
  rotator.announce('db', 'v2');
  await eventually(async () => expect(await versionNow()).toBe('v2'));
  rotator.announce('db', 'v2');
  rotator.announce('db', 'v1'); // late
  rotator.announce('unused', 'v9');
  vault.publish('v3');
  rotator.announce('db', 'v3');
  await eventually(async () => expect(await versionNow()).toBe('v3'));
  expect(vault.reads).toHaveLength(3);
});

test('a spread is respected', async () => {
  await Promise.all([secrets.get('db'), secrets.get('other')]);
  vault.publish('v2');
  rotator.announce('db', 'v2', 10_000); // random 0.5: five seconds
  rotator.announce('other', 'v2');
  await eventually(async () => expect((await secrets.get('other')).version).toBe('v2'));
  await clock.advance(4_900);
  expect(await versionNow()).toBe('v1');
  await clock.advance(200);
  expect(await versionNow()).toBe('v2');
});

test('an announced version that the vault does not serve yet is looked for again', async () => {
  await secrets.get('db');
  rotator.announce('db', 'v2');
  await eventually(() => expect(vault.reads).toHaveLength(2));
  await clock.advance(1_600);
  expect(vault.reads).toHaveLength(3);
  vault.publish('v2');
  await clock.advance(3_000);
  expect(await versionNow()).toBe('v2');
});

test('a read that began before the announcement is superseded', async () => {
  await secrets.get('db');
  vault.behaviour = 'hold';
  await clock.advance(58_500);
  expect(vault.reads).toHaveLength(2);
  vault.publish('v2');
  rotator.announce('db', 'v2');
  await eventually(() => expect(vault.reads).toHaveLength(3));
  expect(vault.inFlight).toBe(1);
  vault.reads[2]?.answer();
  await clock.advance(0);
  vault.reads[1]?.answer();
  await clock.advance(0);
  expect(await versionNow()).toBe('v2');
});

test('it connects again after the stream ended, says where it was, and reports in full', async () => {
  await secrets.get('db');
  await reported({ version: 'v1' });
  vault.publish('v2');
  rotator.announce('db', 'v2');
  await reported({ version: 'v2' });
  const before = rotator.reports.length;
  rotator.hangUp();
  await connected(2);
  expect(rotator.connects[1]?.headers['last-event-id']).toBe('1');
  expect(rotator.connects[1]?.url).toBe('/v1/announcements?consumer=orders-api&instance=orders-api-1');
  await eventually(() => expect(rotator.reports.length).toBeGreaterThan(before));
  expect(lastReport()?.secrets).toMatchObject([{ secret: 'db', version: 'v2' }]);
});

test('a silent connection counts as dead, a beat keeps it', async () => {
  await secrets.close();
  secrets = open({ heartbeatTimeoutMs: 45_000 });
  await connected(2);
  for (let beat = 0; beat < 4; beat += 1) {
    await clock.advance(30_000);
    rotator.send(': beat\n\n');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(rotator.connects).toHaveLength(2);
  await clock.advance(45_000);
  await connected(3);
});

test('frames may arrive in any pieces, and what is not understood is skipped', async () => {
  await secrets.get('db');
  vault.publish('v2');
  rotator.send('event: announcement\ndata: no json\n\nevent: other\ndata: {}\n\n');
  const frame = 'id: 7\r\nevent: announcement\r\ndata: {"secret":"db",\r\ndata: "version":"v2"}\r\n\r\n';
  for (const piece of frame.match(/.{1,5}/gs) ?? []) {
    rotator.send(piece);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await eventually(async () => expect(await versionNow()).toBe('v2'));
});

test('a secret that the rotator watches is read every 12 hours only, once a read under its watch succeeded', async () => {
  await secrets.get('other');
  vault.behaviour = 'hold';
  const first = secrets.get('db');
  rotator.watch(['DB']);
  rotator.announce('other', 'v2'); // heard after the watch
  await eventually(() => expect(vault.reads).toHaveLength(3));
  vault.behaviour = 'answer';
  vault.publish('v2');
  for (const read of vault.reads) read.answer('v2');
  await first;
  await clock.advance(57_000); // what began before the watch may have missed something: the TTL, once more
  expect(readsOf('db')).toBe(2);
  await keepAlive(11 * hour);
  expect(readsOf('db')).toBe(2);
  expect(secrets.health().rotator).toBe('connected');
  await keepAlive(hour);
  expect(readsOf('db')).toBe(3);
});

test('without the rotator the TTL applies again, and each instance takes a moment of its own', async () => {
  await secrets.get('db');
  rotator.watch(['db']);
  await eventually(() => expect(vault.reads).toHaveLength(2), 1_000);
  await clock.advance(120_000);
  expect(vault.reads).toHaveLength(2);
  rotator.healthy = false;
  rotator.hangUp();
  await eventually(() => expect(secrets.health().rotator).toBe('disconnected'));
  await clock.advance(29_000); // random 0.5: half a TTL
  expect(vault.reads).toHaveLength(2);
  await clock.advance(1_000);
  expect(vault.reads).toHaveLength(3);
  await clock.advance(60_000);
  expect(vault.reads).toHaveLength(4);
});

test('a secret that the rotator does not watch keeps its TTL', async () => {
  await secrets.get('db');
  rotator.watch(['other']);
  await clock.advance(120_000);
  expect(vault.reads.length).toBeGreaterThan(2);
});

test('a rotator that is down disturbs nobody', async () => {
  const unreachable: SecretsEvents['unreachable'][] = [];
  secrets.on('unreachable', (event) => unreachable.push(event));
  rotator.healthy = false;
  rotator.hangUp();
  await secrets.get('db');
  vault.publish('v2');
  await eventually(() => expect(unreachable.length).toBeGreaterThan(3), 5_000);
  await clock.advance(60_000);
  expect(await versionNow()).toBe('v2');
  expect(unreachable[0]).toMatchObject({ what: 'rotator', error: { code: 'ROTATOR_UNREACHABLE' } });
  rotator.healthy = true;
  await eventually(() => expect(lastReport()?.secrets).toMatchObject([{ version: 'v2' }]), 1_000);
});

test('adoption is reported on every change, one report at a time, without a value', async () => {
  await secrets.get('db');
  for (const version of ['v2', 'v3', 'v4']) {
    vault.publish(version);
    rotator.announce('db', version);
    await reported({ version, held: [], refused: {} });
  }
  expect(rotator.mostReportsAtOnce).toBe(1);
  expect(lastReport()).toMatchObject({ consumer: 'orders-api', instance: 'orders-api-1' });
  expect(JSON.stringify(rotator.reports)).not.toContain('value of');
});

test('adoption is repeated as a heartbeat', async () => {
  await secrets.get('db');
  await reported({ version: 'v1' });
  await new Promise((resolve) => setTimeout(resolve, 30));
  const before = rotator.reports.length;
  await clock.advance(10_000);
  await eventually(() => expect(rotator.reports).toHaveLength(before + 1));
});

test('a use in flight holds its version until it settles', async () => {
  const action = Promise.withResolvers<string>();
  const used = secrets.use('db', () => action.promise);
  await reported({ version: 'v1', held: [] });
  vault.publish('v2');
  rotator.announce('db', 'v2');
  await reported({ version: 'v2', held: ['v1'] });
  action.resolve('done');
  expect(await used).toBe('done');
  await reported({ version: 'v2', held: [] });
});

test('an adapter reports what it has proven, not what was fetched', async () => {
  await secrets.get('db');
  const old = secrets.hold('db', 'v1');
  old.authenticated();
  await reported({ version: 'v1', authenticatedAt: expect.stringMatching(/^2027-01-15T12:/) });
  vault.publish('v2');
  rotator.announce('db', 'v2');
  await eventually(async () => expect(await versionNow()).toBe('v2'));
  const next = secrets.hold('db', 'v2');
  await reported({ version: 'v1', held: ['v2'] });
  next.authenticated();
  const lastLogin = expect.stringMatching(/^2027-01-15T12:/);
  await reported({ version: 'v2', held: ['v1'], heldAuthenticatedAt: { v1: lastLogin } });
  old.release();
  await reported({ version: 'v2', held: [] });
});

test('refusals are reported by version', async () => {
  await secrets.get('db');
  expect(await secrets.hold('db', 'v1').refused()).toMatchObject({ version: 'v1' });
  await reported({ version: 'v1', refused: { v1: 1 } });
});

test('close says goodbye, last', async () => {
  await secrets.get('db');
  await secrets.close();
  expect(lastReport()).toMatchObject({ leaving: true, secrets: [{ secret: 'db', version: 'v1' }] });
  const count = rotator.reports.length;
  await clock.advance(60_000);
  expect(rotator.reports).toHaveLength(count);
  expect(clock.pending).toBe(0);
});

test('there is no goodbye while a pool is still open: it lives on with its credential', async () => {
  await secrets.get('db');
  secrets.hold('db', 'v1').authenticated();
  await secrets.close();
  expect(lastReport()).toMatchObject({ secrets: [{ secret: 'db', version: 'v1' }] });
  expect(lastReport()).not.toHaveProperty('leaving');
});

test('nothing keeps the process alive', async () => {
  const script = `
    import { openSecrets } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
    const vault = { getSecret: async () => ({ value: 'x', properties: { version: 'v1' } }) };
    const secrets = openSecrets({ vault, rotator: { url: '${rotator.url}', consumer: 'c', instance: 'i' } });
    await secrets.get('db');
    await new Promise((resolve) => setTimeout(resolve, 300));
    console.log('done');`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    timeout: 10_000,
  });
  expect((await run).stdout).toBe('done\n');
  expect(rotator.connects.at(-1)?.url).toContain('consumer=c');
});

test('a report too long for the rotator is sent in parts', async () => {
  const names = Array.from({ length: 900 }, (_, number) => `${'a-very-long-name-'.repeat(6)}${number}`);
  await Promise.all(names.map((name) => secrets.get(name)));
  await eventually(() => {
    const told = new Set(rotator.reports.flatMap((report) => report.secrets.map(({ secret }) => secret)));
    expect(told.size).toBe(names.length);
  }, 100);
  for (const report of rotator.reports) expect(JSON.stringify(report).length).toBeLessThan(64 * 1_024);
});

test('a token goes with every request, and only where nobody listens in', async () => {
  await secrets.close();
  let tokens = 0;
  const token = async () => `token-${(tokens += 1)}`;
  secrets = open({ token });
  await eventually(
    () => expect(rotator.connects.at(-1)?.headers.authorization).toMatch(/^Bearer token-\d+$/),
    100,
  );
  await secrets.get('db');
  await reported({ version: 'v1' });
  expect(new Set(rotator.authorizations.filter((one) => one !== undefined)).size).toBeGreaterThanOrEqual(2);
  expect(() => open({ token, url: 'http://keyturn.internal:7420' })).toThrow(
    expect.objectContaining({ code: 'OPTIONS_INVALID' }) as Error,
  );
});

test('a token that is not to be had is no harm but to the connection', async () => {
  const unreachable: SecretsEvents['unreachable'][] = [];
  await secrets.close();
  secrets = open({ token: () => Promise.reject(new Error('no identity')) });
  secrets.on('unreachable', (event) => unreachable.push(event));
  expect((await secrets.get('db')).version).toBe('v1');
  await eventually(() => expect(unreachable.length).toBeGreaterThan(0), 100);
  expect(unreachable[0]).toMatchObject({ what: 'rotator', error: { code: 'ROTATOR_UNREACHABLE' } });
});
