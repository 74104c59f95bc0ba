import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import type { SecretStatus } from '@keyturn/rotator';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { convergingRotation } from '../../rotator/test/fakes/operations.ts';
import { paint } from '../src/demo/styled-line.ts';
import { openStatusView } from '../src/status-view.ts';
import { statusTable } from '../src/status-table.ts';
import { keyturn, ran, startRotator, type RotatorAtWork, type Running } from './rotator-at-work.ts';

const now = Date.UTC(2026, 10, 23, 12);
const day = 86_400_000;
const iso = (ms: number) => new Date(ms).toISOString();

const orders: SecretStatus = {
  secret: 'orders-db',
  source: 'postgres',
  version: '1f3c00aabbcc',
  createdAt: iso(now - 89 * day),
  dueAt: iso(now - 2 * 3_600_000),
  expiresAt: iso(now + 1.5 * day),
  open: convergingRotation({ state: 'held', stragglers: ['orders-api/one', 'session of psql'] }),
};
const billing: SecretStatus = { secret: 'billing-db', source: 'postgres' };

function drawn(secrets: readonly SecretStatus[]): string {
  return statusTable(secrets, now)
    .map((line) => paint(line, { columns: Infinity, colour: false }).trimEnd())
    .join('\n');
}

describe('the table of what stands', () => {
  it('names the version, its times, the state and everyone who is waited for; what happens comes first', () => {
    expect(drawn([billing, orders])).toBe(
      [
        'secret      version  age  due     expires  state  phase     waiting for',
        'orders-db   1f3c00   89d  2h ago  in 1d    held   converge  orders-api/one, session of psql',
        'billing-db  –        –    –       –        idle   –',
      ].join('\n'),
    );
  });

  it('tells below it what fails, what to do and when it is tried again', () => {
    const failure = { message: 'The vault is away.', hint: 'Look.', nextAttemptAt: iso(now + 300_000) };
    expect(drawn([{ ...billing, failure }])).toContain(
      'billing-db: The vault is away. Next attempt in 5m.\n  hint: Look.',
    );
    const last = convergingRotation({
      state: 'failed',
      endedAt: iso(now),
      failure: { code: 'SOURCE', message: 'It said no.' },
    });
    expect(drawn([{ ...billing, last }])).toMatch(/billing-db .* failed .*\nbilling-db: It said no\./);
  });

  it('says when nothing is configured', () => {
    expect(drawn([])).toBe('No secret is configured.');
  });

  it('is drawn within a terminal, whatever its size, and without control characters of others', () => {
    const stream = new PassThrough();
    let text = '';
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const out = Object.assign(stream, {
      isTTY: true,
      columns: 100,
      rows: 10,
    }) as unknown as NodeJS.WriteStream;
    const view = openStatusView({ out, err: out }, { json: false });
    const evil = convergingRotation({ stragglers: ['one\u001B]0;owned\u0007\n'] });
    const many = Array.from({ length: 50 }, (_, index) => ({ ...billing, secret: `secret-${index}` }));
    view.show([{ ...orders, open: evil }, ...many]);
    view.lost('The connection is lost.');
    view.close();
    const lines = stripVTControlCharacters(text).replaceAll('\r', '').split('\n');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(100);
    expect(text.slice(0, text.indexOf('\u001B[J')).split('\n').length).toBeLessThanOrEqual(10);
    expect(text).toContain('one?]0;owned??');
    expect(text).toContain('more lines');
    expect(text).toContain('The connection is lost.');
    for (const control of ['\u0007', '\u001B]']) expect(text).not.toContain(control);
    expect(text.endsWith('\u001B[?25h')).toBe(true);
  });
});

describe('keyturn status', () => {
  let rotator: RotatorAtWork;
  let watching: Running | undefined;
  beforeEach(async () => {
    rotator = await startRotator();
    rotator.operations.secretStates.set('orders-db', orders);
  });
  afterEach(async () => {
    watching?.child.kill('SIGKILL');
    watching = undefined;
    await rotator.stop();
  });

  it('prints the table of a running rotator, whole where there is no terminal', async () => {
    const { code, out, err } = await ran(['status', '--url', rotator.url]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^orders-db .*held +converge +orders-api\/one, session of psql$/m);
    expect(out).toMatch(/^billing-db /m);
  });

  it('prints one secret, and the whole of it as JSON', async () => {
    const one = await ran(['status', 'orders-db', '--url', rotator.url, '--json']);
    expect(JSON.parse(one.out)).toEqual(orders);
    const all = await ran(['status', '--url', rotator.url, '--json']);
    expect(JSON.parse(all.out)).toEqual({ secrets: await rotator.operations.secrets() });
  });

  it('finds the rotator by the configuration', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'status-test-'));
    const file = join(folder, 'keyturn.yaml');
    const listens = `0.0.0.0:${new URL(rotator.url).port}`;
    await writeFile(
      file,
      `vault: https://orders.vault.azure.net\nsecrets: {}\nfleet: { listen: '${listens}' }\n`,
    );
    expect((await ran(['status', '--config', file])).code).toBe(0);
    await rm(folder, { recursive: true });
  });

  it('tells of each change as a line, and outlives a restart of the rotator', async () => {
    const { operations } = rotator;
    watching = keyturn(['status', 'orders-db', '--watch', '--url', rotator.url]);
    await watching.until(/orders-db: held, converge, version 1f3c00, waiting for orders-api\/one, session/);
    const change = (open: NonNullable<SecretStatus['open']>) => {
      operations.secretStates.set('orders-db', { ...orders, open });
      operations.emit({ kind: 'phase', phase: 'revoke', rotation: open.id, at: open.updatedAt });
    };
    while (operations.watchers.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    change(convergingRotation({ phase: 'revoke', stragglers: ['one\u001B[2J'] }));
    await watching.until(/orders-db: running, revoke, version 1f3c00, waiting for one\?\[2J/);
    const changedAt = Date.now();
    change(convergingRotation({ phase: 'verify', stragglers: [] }));
    await watching.until(/orders-db: running, verify/);
    expect(Date.now() - changedAt).toBeLessThan(5_000); // the event said so: without one it is read every 10 s

    await rotator.stop();
    await watching.until(/The connection to .* is lost\. Trying again\./, 'err');
    await watching.until(/No rotator answers at .* Trying again\./, 'err');
    operations.secretStates.set('orders-db', { ...orders, open: convergingRotation({ phase: 'close' }) });
    await rotator.start();
    await watching.until(/orders-db: running, close/);

    watching.child.kill('SIGINT');
    expect(await watching.ended).toBe(0);
    expect(watching.text.out.split('\n').filter(Boolean)).toHaveLength(4);
  });

  it('tells each change as JSON if asked to', async () => {
    watching = keyturn(['status', '--watch', '--json', '--url', rotator.url]);
    const out = await watching.until(/\n.*\n/);
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as SecretStatus).secret),
    ).toEqual(['orders-db', 'billing-db']);
  });

  it('ends with 12 where no rotator answers, at once with --watch too', async () => {
    await rotator.stop();
    for (const more of [[], ['--watch']]) {
      const { code, out, err } = await ran(['status', '--url', rotator.url, ...more]);
      expect({ code, out }).toEqual({ code: 12, out: '' });
      expect(err).toMatch(/No rotator answers at http:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\)\.\n {2}hint: /);
    }
    await rotator.start();
  });

  it('ends with 12 where something else answers', async () => {
    rotator.operations.secrets = () => Promise.resolve([{ secret: 1 } as unknown as SecretStatus]);
    const { code, err } = await ran(['status', '--url', rotator.url]);
    expect(code).toBe(12);
    expect(err).toMatch(/is no Keyturn rotator, or of another version: secrets\.0\.secret/);
  });

  it('ends with 2 for an unknown secret and for what is no address', async () => {
    const unknown = await ran(['status', 'nobody', '--url', rotator.url]);
    expect(unknown).toMatchObject({ code: 2, out: '' });
    expect(unknown.err).toContain('The secret nobody is not configured.\n  hint: Configured: orders-db');
    for (const url of ['rotator:7420', 'ftp://rotator', 'http://user:hunter2@rotator']) {
      const { code, err } = await ran(['status', '--url', url]);
      expect(code).toBe(2);
      expect(err).not.toContain('hunter2');
    }
  });
});
