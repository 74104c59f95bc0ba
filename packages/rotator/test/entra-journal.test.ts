import { ManagedIdentityCredential } from '@azure/identity';
import { startEmulator, type Emulator } from '@keyturn/emulator';
import { decodeJwt } from 'jose';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openChanges } from '../src/journal/changes.ts';
import { entraPassword } from '../src/journal/entra-password.ts';
import { lockExecutor } from '../src/journal/executor-lock.ts';
import type { JournalOptions } from '../src/journal/journal.ts';
import type { JournalUrl } from '../src/journal/journal-url.ts';
import { vaultUrl } from './fakes/vault.ts';
import { useJournal } from './journal-world.ts';

const resource = 'https://ossrdbms-aad.database.windows.net';
const role = 'keyturn-app';
const world = useJournal();
let emulator: Emulator;
/** What the managed identity was last given. */
let token: string;

/** The endpoint of App Service, asked without a client's cache. */
async function newToken(): Promise<string> {
  const { IDENTITY_ENDPOINT: endpoint = '', IDENTITY_HEADER: header = '' } = emulator.environment;
  const response = await fetch(`${endpoint}?api-version=2019-08-01&resource=${resource}`, {
    headers: { 'x-identity-header': header },
  });
  const { access_token: got } = (await response.json()) as { access_token: string };
  return got;
}

/** The server takes another token from now on; those who are connected stay. */
async function acceptAnother(): Promise<void> {
  const former = token;
  await vi.waitFor(async () => expect((token = await newToken())).not.toBe(former), { timeout: 5_000 });
  await world.query(`alter role "${role}" password '${token}'`);
}

const to = (password: () => Promise<string>): JournalUrl => ({
  url: `postgres://${role}@127.0.0.1:${world.server.port}/journal`,
  password,
});

/** Ends the connections of the role, but for the lock of a rotator: without that it would end. */
const cut = () =>
  world.query(`
    select pg_terminate_backend(pid) from pg_stat_activity
    where usename = '${role}' and application_name <> 'keyturn test'`);

const runbook: JournalOptions['runbook'] = (run, { id, secret, from }) =>
  run.step('issue', async () => world.outcome({ id, secret, from, vault: vaultUrl }));

beforeAll(async () => {
  emulator = await startEmulator();
  token = await newToken();
  await world.query(`create role "${role}" login password '${token}'`);
  await world.query(`create database journal owner "${role}"`);
});
afterAll(() => emulator.close());

describe('a journal that takes Entra tokens', () => {
  it('is worked on with a token for each login, also after it has changed', async () => {
    let logins = 0;
    const url = to(async () => {
      logins += 1;
      return token;
    });
    const journal = await world.open(runbook, { url });
    const first = world.newRequest();
    expect(await journal.run(first)).toMatchObject({ id: first.id, outcome: 'closed' });

    await acceptAnother();
    await cut();
    const before = logins;
    const second = world.newRequest();
    expect(await journal.run(second)).toMatchObject({ id: second.id, outcome: 'closed' });
    expect(logins).toBeGreaterThan(before);
  });

  it('tells of changes again once it is listened to with the new token', async () => {
    const changes = openChanges(to(async () => token));
    try {
      await acceptAnother();
      await world.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keyturn changes'",
      );
      let heard = 0;
      changes.on('order', () => (heard += 1)); // that topic is only ever told, never looked for
      await vi.waitFor(
        async () => {
          await queryJournal(`select pg_notify('keyturn', 'order')`);
          expect(heard).toBeGreaterThan(0);
        },
        { timeout: 10_000, interval: 200 },
      );
    } finally {
      await changes.close();
    }
  });

  it('refuses the token of before', async () => {
    const former = token;
    await acceptAnother();
    await expect(
      lockExecutor(
        to(async () => former),
        'late',
      ),
    ).rejects.toMatchObject({ code: 'JOURNAL', message: expect.stringContaining('28P01') });
    await (
      await lockExecutor(
        to(async () => token),
        'in time',
      )
    ).release();
  });
});

describe('the password', () => {
  beforeEach(() => {
    for (const [name, value] of Object.entries(emulator.environment))
      if (name.startsWith('IDENTITY_')) vi.stubEnv(name, value);
  });
  afterEach(() => vi.unstubAllEnvs());

  it('is a token that the managed identity has for PostgreSQL', async () => {
    const password = await entraPassword(new ManagedIdentityCredential())();
    expect(decodeJwt(password)).toMatchObject({ aud: resource });
    await world.query(`alter role "${role}" password '${password}'`);
    const lock = await lockExecutor(to(entraPassword(new ManagedIdentityCredential())), 'managed');
    expect(await lock.isHeld()).toBe(true);
    await lock.release();
  });

  it('that is not to be had is said so, with what to do', async () => {
    const nobody = { getToken: () => Promise.reject(new Error('the metadata service: Pa55')) };
    await expect(lockExecutor(to(entraPassword(nobody)), 'nobody')).rejects.toMatchObject({
      code: 'JOURNAL',
      message: "No token for the journal's database is to be had (Error).",
      hint: expect.stringContaining('managed identity'),
    });
  });
});

/** As whoever administers the server. */
async function queryJournal(text: string): Promise<void> {
  const client = new Client({ connectionString: world.server.url('journal') });
  await client.connect();
  await client.query(text);
  await client.end();
}
