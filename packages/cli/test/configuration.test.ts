import { readFile } from 'node:fs/promises';
import type { Vault } from '@keyturn/rotator';
import { describe, expect, it } from 'vitest';
import { parseFile } from '../src/config/load.ts';
import { configurationFile, jsonSchemaOf } from '../src/config/schema.ts';
import { configuredSecrets } from '../src/config/secrets.ts';
import { exitCodeFor, exitCodes } from '../src/exit-codes.ts';

const good = `vault: https://orders.vault.azure.net
secrets:
  orders-db:
    source:
      kind: postgres
      host: db.internal
      database: orders
      owner: orders_owner
      roles: [orders_a, orders_b]
      admin: { secret: orders-db-rotator }
    consumers:
      orders-api: { ttl: 60s, instances: 3 }
      reports: { ttl: 24h, reports: false }
    validity: 30d
`;

function refusal(text: string): { message: string; hint: string | undefined; code: number } {
  try {
    parseFile(text, 'keyturn.yaml', configurationFile);
  } catch (error) {
    const { message, hint } = error as { message: string; hint: string | undefined };
    return { message, hint, code: exitCodeFor(error) };
  }
  throw new Error('it was accepted');
}

describe('the configuration', () => {
  it('is read with durations as milliseconds and defaults filled in', () => {
    const { secrets, fleet } = parseFile(good, 'keyturn.yaml', configurationFile);
    const orders = secrets['orders-db'];
    expect(orders?.consumers['orders-api']).toEqual({ ttl: 60_000, instances: 3, reports: true });
    expect(orders?.validity).toBe(30 * 86_400_000);
    expect(orders?.source.port).toBe(5432);
    expect(fleet).toEqual({ listen: '127.0.0.1:7420', lease: 30_000, heartbeat: 15_000 });
  });

  it('takes a journal without a password, by a token of Entra', () => {
    const journal = 'journal: { url: "postgres://keyturn@db/keyturn", entra: true }\n';
    expect(parseFile(journal + good, 'keyturn.yaml', configurationFile).journal).toEqual({
      url: 'postgres://keyturn@db/keyturn',
      entra: true,
    });
  });

  it.each([
    ['a password', 'url: "postgres://keyturn:Pa55@db/keyturn", entra: true'],
    ['no role', 'url: "postgres://db/keyturn", entra: true'],
    ['no word of Entra', 'url: "postgres://keyturn@db/keyturn"'],
    ['another scheme', 'url: "mysql://keyturn@db/keyturn", entra: true'],
  ])('refuses a journal by a URL with %s, without showing it', (_, journal) => {
    const { message, code } = refusal(`journal: { ${journal} }\n${good}`);
    expect(code).toBe(2);
    expect(message).toContain('keyturn.yaml:1: journal');
    expect(message).not.toContain('Pa55');
  });

  it.each([
    [
      'an unknown key',
      good.replace('host:', 'hots:'),
      /keyturn\.yaml:6: secrets\.orders-db\.source\.hots: there is no such key/,
    ],
    [
      'a missing key',
      good.replace('      owner: orders_owner\n', ''),
      /keyturn\.yaml:4: secrets\.orders-db\.source\.owner: is missing/,
    ],
    [
      'a duration without a unit',
      good.replace('ttl: 60s', 'ttl: 60'),
      /keyturn\.yaml:12: secrets\.orders-db\.consumers\.orders-api\.ttl:/,
    ],
    [
      'a vault without https',
      good.replace('https:', 'http:'),
      /keyturn\.yaml:1: vault: must be the URL of a vault/,
    ],
    [
      'no consumers',
      good.replace(/consumers:[^]*validity/, 'consumers: {}\n    validity'),
      /keyturn\.yaml:11: .*must name at least one application/,
    ],
    [
      'one role twice',
      good.replace('[orders_a, orders_b]', '[orders_a, orders_a]'),
      /keyturn\.yaml:9: secrets\.orders-db\.source\.roles: must be two different roles/,
    ],
    [
      'a port that can’t be',
      `${good}fleet: { listen: "127.0.0.1:70000" }\n`,
      /keyturn\.yaml:15: fleet\.listen: must have a port from 0 to 65535/,
    ],
    [
      'a window that opens at no time of day',
      `${good}    windows: [{ days: [sat], from: "25:00", to: "04:00", timeZone: Europe/Berlin }]\n`,
      /keyturn\.yaml:15: secrets\.orders-db\.windows\.0\.from: must be a time of day between quotation marks/,
    ],
    [
      'a window that opens at a number',
      `${good}    windows: [{ days: [sat], from: 22, to: "04:00", timeZone: Europe/Berlin }]\n`,
      /keyturn\.yaml:15: secrets\.orders-db\.windows\.0\.from: must be a time of day between quotation marks/,
    ],
    [
      'a window on a day that is none',
      `${good}    windows:\n      - days: [saturday]\n        from: "22:00"\n        to: "04:00"\n        timeZone: UTC\n`,
      /keyturn\.yaml:16: secrets\.orders-db\.windows\.0\.days\.0: must be one of sun, mon, tue/,
    ],
    [
      'a window on no day',
      `${good}    windows: [{ days: [], from: "22:00", to: "04:00", timeZone: Europe/Berlin }]\n`,
      /keyturn\.yaml:15: secrets\.orders-db\.windows\.0\.days: must name at least one day/,
    ],
    [
      'a time zone that there is none of',
      `${good}    windows:\n      - days: [sat]\n        from: "22:00"\n        to: "04:00"\n        timeZone: Europe/Atlantis\n`,
      /keyturn\.yaml:19: secrets\.orders-db\.windows\.0\.timeZone: must be an IANA time zone/,
    ],
    [
      'a window that opens on no day',
      `${good}    windows: [{ days: [], from: "22:00", to: "04:00", timeZone: UTC }]\n`,
      /keyturn\.yaml:15: secrets\.orders-db\.windows\.0\.days: must name at least one day/,
    ],
    [
      'no window at all',
      `${good}    windows: []\n`,
      /keyturn\.yaml:15: secrets\.orders-db\.windows: must hold at least one window/,
    ],
    [
      'windows that open too rarely',
      `${good.replace('validity: 30d', 'validity: 14d')}    windows: [{ days: [sat], from: "22:00", to: "04:00", timeZone: Europe/Berlin }]\n`,
      /keyturn\.yaml:15: secrets\.orders-db\.windows: they are closed for up to 6\.8 days and the overlap lasts 2 days, but a version valid for 14 days is due 4\.7 days before its expiry/,
    ],
    ['text that is no YAML', 'vault: [', /keyturn\.yaml:1: is not YAML/],
  ])('says file, line and key of %s and exits as wrong usage', (_what, text, message) => {
    const refused = refusal(text);
    expect(refused.message).toMatch(message);
    expect(refused.hint).toBeTruthy();
    expect(refused.code).toBe(exitCodes.usage.code);
  });

  it('may say when a secret is rotated', () => {
    const windows = '[{ days: [fri, sat], from: "22:00", to: "04:00", timeZone: Europe/Berlin }]';
    const text = `${good}    windows: ${windows}\n`;
    const read = parseFile(text, 'keyturn.yaml', configurationFile);
    const expected = [{ days: ['fri', 'sat'], from: '22:00', to: '04:00', timeZone: 'Europe/Berlin' }];
    const policies = configuredSecrets(read, {} as Vault).map(({ policy }) => policy.windows);
    expect(policies).toEqual([expected]);
  });

  it('names the keys that it knows beside an unknown one', () => {
    expect(refusal(good.replace('host:', 'hots:')).hint).toContain('host, port, database');
  });

  it('refuses an overlap shorter than the shortest safe one and shows the arithmetic', () => {
    const { message } = refusal(`${good}    overlap: 5m\n`);
    expect(message).toMatch(/keyturn\.yaml:15: .*2 × 86400 s .* \+ 5 s .*= 172805 s/);
  });

  it('of a Redis source needs the user that holds both passwords, and no roles', () => {
    const lines = good.split('\n').filter((line) => !/database|owner|roles/.test(line));
    const text = lines.join('\n').replace('kind: postgres', 'kind: redis\n      user: orders');
    expect(parseFile(text, 'keyturn.yaml', configurationFile).secrets['orders-db']?.source).toEqual({
      kind: 'redis',
      user: 'orders',
      host: 'db.internal',
      port: 6379,
      tls: false,
      format: 'url',
      admin: { secret: 'orders-db-rotator' },
    });
    expect(refusal(text.replace('user: orders', 'owner: orders')).message).toMatch(
      /keyturn\.yaml:6: secrets\.orders-db\.source\.owner: there is no such key/,
    );
  });

  it('is described for editors by the schema in the repository', async () => {
    const file = new URL('../schema/keyturn.schema.json', import.meta.url);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(jsonSchemaOf(configurationFile))),
    );
  });
});
