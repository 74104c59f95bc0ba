import { beforeEach, expect, test } from 'vitest';
import { openSecrets, type Secrets, type SecretsEvents } from '../src/index.ts';
import { openLiveSecret } from '../src/live-secret.ts';
import { fakeClock, settle, type FakeClock } from './fakes/fake-clock.ts';
import { fakeVault, httpError, type FakeVault } from './fakes/fake-vault.ts';

const ttlMs = 60_000;
let clock: FakeClock;
let vault: FakeVault;
let secrets: Secrets;
let random: number;

beforeEach(() => {
  clock = fakeClock();
  vault = fakeVault('v1');
  random = 0.5;
  secrets = openSecrets({ vault, ttlMs, clock, random: () => random });
});

const versionNow = async () => (await secrets.get('db')).version;

test('a thousand cold gets are one read of the vault', async () => {
  const got = await Promise.all(Array.from({ length: 1_000 }, () => secrets.get('db')));
  expect(new Set(got).size).toBe(1);
  expect(got[0]?.reveal()).toBe('value of v1');
  expect(vault.reads).toHaveLength(1);
});

test('a value is refreshed in the background, so nobody waits after the first load', async () => {
  await secrets.get('db');
  vault.behaviour = 'hold';
  vault.publish('v2');
  await clock.advance(ttlMs);
  expect(vault.reads).toHaveLength(2);
  expect(await versionNow()).toBe('v1');
  vault.reads[1]?.answer();
  await settle();
  expect(await versionNow()).toBe('v2');
});

test.each([
  [0, 54_000],
  [0.999_999, 60_000],
])('refreshes are spread over the last tenth of the TTL (random %d)', async (value, dueMs) => {
  random = value;
  await secrets.get('db');
  await clock.advance(dueMs - 1);
  expect(vault.reads).toHaveLength(1);
  await clock.advance(2);
  expect(vault.reads).toHaveLength(2);
});

test('a handle is a property read of the last good value', async () => {
  const handle = secrets.handle('db');
  expect(() => handle.current).toThrowError(expect.objectContaining({ code: 'NOT_LOADED' }));
  await handle.ready;
  expect(handle.current.version).toBe('v1');
  vault.publish('v2');
  await clock.advance(ttlMs);
  expect(handle.current.version).toBe('v2');
});

test('the last good value is kept while the vault fails, and said to be stale once', async () => {
  const stale: SecretsEvents['stale'][] = [];
  const unreachable: SecretsEvents['unreachable'][] = [];
  secrets.on('stale', (event) => stale.push(event));
  secrets.on('unreachable', (event) => unreachable.push(event));
  await secrets.get('db');
  vault.behaviour = httpError(503);
  await clock.advance(10 * ttlMs);
  expect(await versionNow()).toBe('v1');
  expect(stale).toMatchObject([{ name: 'db', version: 'v1', error: { code: 'VAULT_UNREACHABLE' } }]);
  expect(unreachable[0]).toMatchObject({ what: 'vault', name: 'db' });
  vault.behaviour = 'answer';
  vault.publish('v2');
  await clock.advance(16_000);
  expect(await versionNow()).toBe('v2');
});

test('a vault that is down for three seconds is asked at most five times', async () => {
  random = 0;
  await secrets.get('db');
  vault.behaviour = httpError(503);
  await clock.advance(54_000 + 3_000);
  expect(vault.reads.length - 1).toBeLessThanOrEqual(5);
});

test('failures are repeated after 1 to 16 seconds', async () => {
  random = 0.999_999;
  const waits: number[] = [];
  secrets.on('unreachable', ({ retryInMs }) => waits.push(Math.round(retryInMs)));
  vault.behaviour = httpError(429);
  await secrets.get('db').catch(() => {});
  await clock.advance(70_000);
  expect(waits.slice(0, 6)).toEqual([2_000, 4_000, 8_000, 16_000, 16_000, 16_000]);
});

test("the vault's Retry-After is honoured, even by a refusal", async () => {
  await secrets.get('db');
  vault.behaviour = httpError(429, { 'retry-after': '120' });
  await clock.advance(ttlMs);
  expect(vault.reads).toHaveLength(2);
  await clock.advance(100_000);
  await secrets.use('db', () => Promise.reject(httpError(401))).catch(() => {});
  expect(vault.reads).toHaveLength(2);
  await clock.advance(20_000);
  expect(vault.reads).toHaveLength(3);
});

test('a hanging vault is cut off, and its late answer dropped', async () => {
  vault.behaviour = 'hold';
  const failure = secrets.get('db').catch((error: unknown) => error);
  await clock.advance(5_000);
  expect(await failure).toMatchObject({ code: 'VAULT_TIMEOUT' });
  expect(vault.reads[0]?.aborted).toBe(true);
  vault.publish('v2');
  await clock.advance(2_000);
  vault.reads[1]?.answer();
  await settle();
  vault.reads[0]?.answer('v1');
  await settle();
  expect(await versionNow()).toBe('v2');
});

test.each([
  ['no value', { properties: { version: 'v1' } }, 'VAULT_UNEXPECTED'],
  ['no version', { value: 'x', properties: {} }, 'VAULT_UNEXPECTED'],
  ['a disabled version', { value: 'x', properties: { version: 'v1', enabled: false } }, 'VAULT_DISABLED'],
])('a vault that sends %s has failed', async (_what, answer, code) => {
  const broken = openSecrets({ vault: { getSecret: () => Promise.resolve(answer) }, clock });
  await expect(broken.get('db')).rejects.toMatchObject({ name: 'SecretsError', code });
});

test('a failed first load is an error at once, and mends itself', async () => {
  vault.behaviour = httpError(404);
  await expect(secrets.get('db')).rejects.toMatchObject({ code: 'VAULT_NO_SECRET' });
  await expect(secrets.get('db')).rejects.toMatchObject({ code: 'VAULT_NO_SECRET' });
  expect(vault.reads).toHaveLength(1);
  vault.behaviour = 'answer';
  await clock.advance(2_000);
  expect(await versionNow()).toBe('v1');
});

test('a listener that has unsubscribed hears nothing', async () => {
  const changes: SecretsEvents['changed'][] = [];
  const off = secrets.on('changed', (event) => changes.push(event));
  await secrets.get('db');
  off();
  vault.publish('v2');
  await clock.advance(ttlMs);
  expect(changes).toEqual([{ name: 'db', version: 'v1', previous: undefined }]);
});

test('close aborts reads, leaves no timer and keeps what is loaded readable', async () => {
  await secrets.get('db');
  vault.behaviour = 'hold';
  const failure = secrets.get('other').catch((error: unknown) => error);
  await secrets.close();
  expect(await failure).toMatchObject({ code: 'CLOSED' });
  expect(clock.pending).toBe(0);
  expect(vault.reads[1]?.aborted).toBe(true);
  expect(await versionNow()).toBe('v1');
  await expect(secrets.get('other')).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a TTL that is no duration is refused', () => {
  expect(() => openSecrets({ vault, ttlMs: 0 })).toThrowError(
    expect.objectContaining({ code: 'OPTIONS_INVALID' }),
  );
});

test.each([
  ['nothing', undefined],
  ['no properties', { value: 'hunter2' }],
  ['no value', { properties: { version: 'v1' } }],
  ['a value that is no text', { value: 7, properties: { version: 'v1' } }],
  ['a version that is no text', { value: 'hunter2', properties: { version: 7 } }],
])(
  'a vault that answers with %s has failed: nothing without a value is ever served',
  async (_what, answer) => {
    const odd = { getSecret: () => Promise.resolve(answer) } as unknown as FakeVault;
    secrets = openSecrets({ vault: odd, clock });
    await expect(secrets.get('db')).rejects.toMatchObject({ code: 'VAULT_UNEXPECTED' });
    expect(secrets.health()).toMatchObject({ healthy: false, secrets: [{ state: 'missing' }] });
  },
);

test('telemetry that throws is a failed read, and the next one may succeed', async () => {
  let broken = true;
  const live = openLiveSecret({
    name: 'db',
    ttlMs,
    vaultTimeoutMs: 5_000,
    staleIfErrorMs: 600_000,
    safetyTtlMs: 600_000,
    clock,
    random: () => 0.5,
    read: () =>
      broken
        ? Promise.reject(new TypeError('no span'))
        : Promise.resolve({ value: 'x', version: 'v1', expiresOn: undefined }),
    changed() {},
    failed() {},
    stale() {},
  });
  await expect(live.load()).rejects.toMatchObject({ code: 'VAULT_UNREACHABLE' });
  broken = false;
  await clock.advance(16_000);
  expect(live.current()?.version).toBe('v1');
  live.close();
});

test.each([
  [{ url: 'keyturn.internal:7420' }],
  [{ url: 'ftp://keyturn.internal' }],
  [{ url: 'http://user:hunter2@keyturn.internal:7420' }],
  [{ reportEveryMs: Number.NaN }],
  [{ reconnectMaxMs: 0 }],
  [{ heartbeatTimeoutMs: Infinity }],
])('options of the rotator that can never work are refused: %j', (given) => {
  const rotator = { url: 'http://keyturn.internal:7420', consumer: 'orders-api', ...given };
  expect(() => openSecrets({ vault, clock, rotator })).toThrowError(
    expect.objectContaining({ code: 'OPTIONS_INVALID', message: expect.not.stringContaining('hunter2') }),
  );
});
