import { beforeEach, expect, test } from 'vitest';
import { isRefusal, openSecrets, type Secret, type Secrets } from '../src/index.ts';
import { fakeClock, settle, type FakeClock } from './fakes/fake-clock.ts';
import { fakeVault, httpError, type FakeVault } from './fakes/fake-vault.ts';

let clock: FakeClock;
let vault: FakeVault;
let secrets: Secrets;

beforeEach(async () => {
  clock = fakeClock();
  vault = fakeVault('v1');
  secrets = openSecrets({ vault, clock, random: () => 0.5 });
  await secrets.get('db');
});

/** A source that accepts one version only. */
const accepts =
  (version: string, tried: string[] = []) =>
  async (secret: Secret) => {
    tried.push(secret.version);
    await settle();
    if (secret.version !== version) throw Object.assign(new Error('no'), { code: '28P01' });
    return secret.version;
  };

test('a refusal reads past the cache and tries once more', async () => {
  vault.publish('v2');
  const tried: string[] = [];
  expect(await secrets.use('db', accepts('v2', tried))).toBe('v2');
  expect(tried).toEqual(['v1', 'v2']);
  expect(vault.reads).toHaveLength(2);
});

test('a thousand callers that are refused together cause one read', async () => {
  vault.publish('v2');
  const used = await Promise.all(Array.from({ length: 1_000 }, () => secrets.use('db', accepts('v2'))));
  expect(new Set(used)).toEqual(new Set(['v2']));
  expect(vault.reads).toHaveLength(2);
});

test('a read that began before the refusal does not satisfy it', async () => {
  vault.behaviour = 'hold';
  await clock.advance(60_000); // the refresh is under way
  vault.publish('v2');
  const used = secrets.use('db', accepts('v2'));
  await settle();
  await settle();
  expect(vault.reads).toHaveLength(3);
  expect(vault.reads[1]?.aborted).toBe(true);
  expect(vault.inFlight).toBe(1);
  vault.reads[1]?.answer('v1');
  vault.reads[2]?.answer('v2');
  expect(await used).toBe('v2');
});

test('when the vault has nothing newer the refusal is passed on without another try', async () => {
  const tried: string[] = [];
  await expect(secrets.use('db', accepts('v2', tried))).rejects.toMatchObject({ code: '28P01' });
  expect(tried).toEqual(['v1']);
});

test('a value that stays refused does not hammer the vault', async () => {
  for (let call = 0; call < 100; call += 1) await secrets.use('db', accepts('v2')).catch(() => {});
  expect(vault.reads).toHaveLength(2);
  await clock.advance(2_000);
  await secrets.use('db', accepts('v2')).catch(() => {});
  expect(vault.reads).toHaveLength(3);
});

test('a signal ends the wait for a newer version', async () => {
  vault.behaviour = 'hold';
  const stop = new AbortController();
  const used = secrets.use('db', accepts('v2'), { signal: stop.signal }).catch((error: unknown) => error);
  for (let turn = 0; turn < 3; turn += 1) await settle();
  expect(vault.inFlight).toBe(1);
  stop.abort(new Error('shutting down'));
  expect(await used).toMatchObject({ message: 'shutting down' });
});

test('a refusal while the vault is down is passed on, and the value kept', async () => {
  vault.behaviour = httpError(503);
  await expect(secrets.use('db', accepts('v2'))).rejects.toMatchObject({ code: '28P01' });
  expect((await secrets.get('db')).version).toBe('v1');
});

test('a vault that lags behind does not bring a refused version back', async () => {
  vault.publish('v2');
  await secrets.use('db', accepts('v2'));
  vault.publish('v1');
  await clock.advance(60_000);
  expect(vault.reads).toHaveLength(3);
  expect((await secrets.get('db')).version).toBe('v2');
});

test('a vault that lags behind does not bring an older version back, and is asked again soon', async () => {
  vault.publish('v2');
  await clock.advance(60_000);
  vault.publish('v1'); // a replica
  await clock.advance(60_000);
  expect((await secrets.get('db')).version).toBe('v2');
  vault.publish('v3');
  await clock.advance(10_000);
  expect((await secrets.get('db')).version).toBe('v3');
});

test('a vault that was restored from a backup is believed after ten minutes, or after a refusal', async () => {
  vault.publish('v2');
  await clock.advance(60_000);
  vault.publish('v1');
  await clock.advance(9 * 60_000);
  expect((await secrets.get('db')).version).toBe('v2');
  await clock.advance(3 * 60_000);
  expect((await secrets.get('db')).version).toBe('v1');

  vault.publish('v3');
  await clock.advance(60_000);
  vault.publish('v1');
  expect(await secrets.use('db', accepts('v1'))).toBe('v1');
});

test('an error that is no refusal is passed on', async () => {
  const broken = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
  await expect(secrets.use('db', () => Promise.reject(broken))).rejects.toBe(broken);
  expect(vault.reads).toHaveLength(1);
});

test('an application can say what a refusal is', async () => {
  vault.publish('v2');
  const busy = Object.assign(new Error('535'), { responseCode: 535 });
  const use = secrets.use(
    'db',
    (secret) => (secret.version === 'v2' ? Promise.resolve('sent') : Promise.reject(busy)),
    { refused: (error) => error === busy },
  );
  expect(await use).toBe('sent');
});

test('the event names the version that was refused', async () => {
  const events: unknown[] = [];
  secrets.on('refused', (event) => events.push(event));
  await secrets.use('db', accepts('v2')).catch(() => {});
  expect(events).toEqual([{ name: 'db', version: 'v1' }]);
});

test.each([
  [{ code: '28P01' }, true],
  [{ code: '28000' }, true],
  [{ status: 401 }, true],
  [{ statusCode: 401 }, true],
  [{ response: { status: 401 } }, true],
  [new Response(null, { status: 401 }), true],
  [new Error('WRONGPASS invalid username-password pair'), true],
  [new Error('NOAUTH Authentication required.'), true],
  [{ status: 403 }, false],
  [{ code: '57P01' }, false],
  [new Error('socket closed'), false],
  [undefined, false],
])('isRefusal(%o) is %s', (error, expected) => {
  expect(isRefusal(error)).toBe(expected);
});
