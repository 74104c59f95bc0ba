import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeEach, expect, test } from 'vitest';
import { openSecrets, type Secrets, type SecretsEvents } from '../src/index.ts';
import { fakeClock, settle, type FakeClock } from './fakes/fake-clock.ts';
import { fakeVault, httpError, type FakeVault } from './fakes/fake-vault.ts';

const hour = 3_600_000;
let clock: FakeClock;
let vault: FakeVault;
let secrets: Secrets;
let stale: SecretsEvents['stale'][];

beforeEach(() => {
  clock = fakeClock();
  vault = fakeVault('v1');
  secrets = openSecrets({ vault, clock, random: () => 0.5 });
  stale = [];
  secrets.on('stale', (event) => stale.push(event));
});

const stateNow = () => secrets.health().secrets[0];

test('a value that could not be refreshed for a day is served no more, and is again when the vault answers', async () => {
  const handle = secrets.handle('db');
  await handle.ready;
  vault.behaviour = httpError(503);
  await clock.advance(24 * hour);
  expect(handle.current.version).toBe('v1');
  expect(secrets.health()).toMatchObject({ healthy: true, secrets: [{ state: 'stale', version: 'v1' }] });
  await clock.advance(60_000);
  const lapsed = { code: 'VALUE_STALE', message: expect.stringMatching(/for 24 h.*answered 503/) };
  expect(() => handle.current).toThrow(expect.objectContaining(lapsed));
  await expect(secrets.get('db')).rejects.toMatchObject({ ...lapsed, cause: { code: 'VAULT_UNREACHABLE' } });
  expect(secrets.health()).toMatchObject({ healthy: false, secrets: [{ state: 'missing', version: 'v1' }] });

  const changes: unknown[] = [];
  secrets.on('changed', (event) => changes.push(event));
  vault.behaviour = 'answer';
  await clock.advance(16_000);
  expect(handle.current.version).toBe('v1');
  expect(secrets.health().healthy).toBe(true);
  expect(changes).toEqual([]); // it is the version that it was
});

test('the event stale comes a day before, with the time that is left', async () => {
  await secrets.get('db');
  vault.behaviour = httpError(503);
  await clock.advance(2 * 60_000);
  expect(stale).toMatchObject([{ name: 'db', version: 'v1', error: { code: 'VAULT_UNREACHABLE' } }]);
  expect(stale[0]?.endsInMs).toBeGreaterThan(23.9 * hour);
});

test('the day begins anew after every answer', async () => {
  await secrets.get('db');
  for (let day = 0; day < 3; day += 1) {
    vault.behaviour = httpError(503);
    await clock.advance(23 * hour);
    vault.behaviour = 'answer';
    await clock.advance(60_000);
  }
  expect((await secrets.get('db')).version).toBe('v1');
});

test.each([
  [
    'disabled',
    Object.assign(httpError(403), { details: { error: { innererror: { code: 'SecretDisabled' } } } }),
    'VAULT_DISABLED',
  ],
  ['deleted', httpError(404), 'VAULT_NO_SECRET'],
])('a secret that was %s keeps its last good value and says so at once', async (_what, error, code) => {
  await secrets.get('db');
  vault.behaviour = error;
  await clock.advance(60_000);
  expect(stale).toMatchObject([{ name: 'db', error: { code } }]);
  expect((await secrets.get('db')).version).toBe('v1');
  expect(stateNow()).toMatchObject({ state: 'stale', error: { code } });
});

test.each(['86400000', '1e300', 'Fri, 31 Dec 9999 23:59:59 GMT'])(
  'a vault that asks to be left alone for %s is asked again after ten minutes',
  async (retryAfter) => {
    await secrets.get('db');
    vault.behaviour = httpError(429, { 'retry-after': retryAfter });
    await clock.advance(60_000);
    const before = vault.reads.length;
    await clock.advance(8 * 60_000);
    expect(vault.reads).toHaveLength(before);
    vault.publish('v2');
    vault.behaviour = 'answer';
    await clock.advance(3 * 60_000);
    expect((await secrets.get('db')).version).toBe('v2');
  },
);

test('ready waits while the vault fails, and resolves when everything is there', async () => {
  vault.behaviour = httpError(503);
  let done = false;
  const ready = secrets.ready(['db', 'stripe']).then(() => (done = true));
  await clock.advance(10_000);
  expect(done).toBe(false);
  expect(stateNow()).toMatchObject({ name: 'db', state: 'missing', version: undefined });
  vault.behaviour = 'answer';
  await clock.advance(16_000);
  await ready;
  expect(secrets.health()).toMatchObject({ healthy: true, rotator: undefined });
  expect(clock.pending).toBe(2); // the next refresh of each, and no deadline
});

test('ready gives up at its deadline, and says for which secrets and why', async () => {
  await secrets.get('db');
  vault.behaviour = httpError(404);
  const failure = secrets.ready(['db', 'stripe'], { withinMs: 5_000 }).catch((error: unknown) => error);
  await clock.advance(5_000);
  expect(await failure).toMatchObject({
    code: 'NOT_READY',
    message: expect.stringMatching(/^Not loaded within 5000 ms: stripe\. .*there is none of that name/),
  });
});

test('ready sees a value that had lapsed come back', async () => {
  await secrets.get('db');
  vault.behaviour = httpError(503);
  await clock.advance(25 * hour);
  let done = false;
  const ready = secrets.ready(['db']).then(() => (done = true));
  vault.behaviour = 'answer';
  await clock.advance(16_000);
  expect(done).toBe(true);
  await ready;
});

test('ready keeps the process alive until the vault answers, and no longer', async () => {
  const script = `
    import { openSecrets } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
    let reads = 0;
    const vault = {
      getSecret: async () => {
        reads += 1;
        if (reads === 1) throw Object.assign(new Error('busy'), { statusCode: 503 });
        return { value: 'x', properties: { version: 'v1' } };
      },
    };
    const secrets = openSecrets({ vault, random: () => 0 });
    await secrets.ready(['db']);
    console.log('ready');`;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    timeout: 10_000,
  });
  expect((await run).stdout).toBe('ready\n');
});

test('ready ends when the secrets are closed between two attempts', async () => {
  vault.behaviour = httpError(503);
  const failure = secrets.ready(['db']).catch((error: unknown) => error);
  await settle();
  await secrets.close();
  expect(await failure).toMatchObject({ code: 'CLOSED' });
});

test('ready ends when the secrets are closed', async () => {
  vault.behaviour = 'hold';
  const failure = secrets.ready(['db']).catch((error: unknown) => error);
  await settle();
  await secrets.close();
  expect(await failure).toMatchObject({ code: 'CLOSED' });
});

test('a signal ends the wait, and not the read that others wait for', async () => {
  vault.behaviour = 'hold';
  const stop = new AbortController();
  const { signal } = stop;
  const waits = [
    secrets.get('db', { signal }),
    secrets.use('db', () => 'used', { signal }),
    secrets.ready(['db'], { signal }),
  ].map((wait) => wait.catch((error: unknown) => error));
  const patient = secrets.get('db');
  await settle();
  stop.abort(new Error('shutting down'));
  for (const outcome of await Promise.all(waits)) expect(outcome).toMatchObject({ message: 'shutting down' });
  vault.reads[0]?.answer();
  expect((await patient).version).toBe('v1');
  await expect(secrets.get('db', { signal })).rejects.toThrow('shutting down');
});
