import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { openMetrics, type Metrics } from '../src/telemetry/metrics.ts';
import type { RotatorStatus } from '../src/telemetry/secret-status.ts';
import { parseExposition } from './exposition.ts';
import { openSetClock, type SetClock } from './fakes/clock.ts';
import { outcome, rotation, standing, started } from './notices.ts';

const hourMs = 3_600_000;
let clock: SetClock;
let status: RotatorStatus;
let metrics: Metrics;

beforeEach(() => {
  clock = openSetClock();
  status = { secrets: [{ secret: 'orders-db', publishedAt: clock.now() }], connectedInstances: 0 };
  metrics = openMetrics({ clock, status: () => status });
});

/** `{outcome="closed"}` → figure, of one series. */
async function figures(family: string, series = family): Promise<Record<string, number>> {
  const found = parseExposition(await metrics.text()).get(family)?.samples ?? [];
  return Object.fromEntries(
    found
      .filter(({ name }) => name === series)
      .map(({ labels, value }) => [Object.values(labels).join(' '), value]),
  );
}

describe('of each secret', () => {
  it('its age and the time to its expiry are shown', async () => {
    const now = clock.now();
    const secrets = [
      { secret: 'orders-db', publishedAt: now, expiresAt: now + 3 * hourMs },
      { secret: 'no-expiry', publishedAt: now - hourMs },
      { secret: 'not-read-yet' },
    ];
    status = { ...status, secrets };
    clock.advance(2 * hourMs);
    expect(await figures('keyturn_secret_age_seconds')).toEqual({ 'orders-db': 7_200, 'no-expiry': 10_800 });
    expect(await figures('keyturn_secret_expires_seconds')).toEqual({ 'orders-db': 3_600 });
    clock.advance(2 * hourMs);
    expect(await figures('keyturn_secret_expires_seconds')).toEqual({ 'orders-db': -3_600 });
  });

  it('an age is never negative where the clock of the vault is ahead', async () => {
    status = { ...status, secrets: [{ secret: 'orders-db', publishedAt: clock.now() + 2_000 }] };
    expect(await figures('keyturn_secret_age_seconds')).toEqual({ 'orders-db': 0 });
  });

  it('how long its overlap window is open is shown, and 0 while none is', async () => {
    expect(await figures('keyturn_overlap_open_seconds')).toEqual({ 'orders-db': 0 });
    status = { ...status, secrets: [{ secret: 'orders-db', overlapOpenedAt: clock.now(), drifted: 2 }] };
    expect(await figures('keyturn_drift_findings')).toEqual({ 'orders-db': 2 });
    clock.advance(90_000);
    expect(await figures('keyturn_overlap_open_seconds')).toEqual({ 'orders-db': 90 });
  });

  it('the stragglers of the last look are shown until the rotation has ended', async () => {
    metrics.record(standing(['orders/web-1', 'orders/web-2']));
    expect(await figures('keyturn_stragglers')).toEqual({ 'orders-db': 2 });
    metrics.record(standing(['orders/web-2']));
    expect(await figures('keyturn_stragglers')).toEqual({ 'orders-db': 1 });
    metrics.ended(outcome);
    expect(await figures('keyturn_stragglers')).toEqual({ 'orders-db': 0 });
  });

  it('nothing is shown any longer once it is configured no more', async () => {
    await metrics.text();
    status = { ...status, secrets: [] };
    expect(await metrics.text()).not.toContain('orders-db');
  });

  it('strange names are written so that the format holds', async () => {
    const secret = 'a"b\\c\nd{e="f"} 1';
    status = { ...status, secrets: [{ secret, publishedAt: clock.now() }] };
    expect(await figures('keyturn_secret_age_seconds')).toEqual({ [secret]: 0 });
  });
});

describe('of rotations', () => {
  it('every outcome is counted, from 0 on, so that the first failure is a rise', async () => {
    expect(await figures('keyturn_rotations_total')).toEqual({ closed: 0, rolled_back: 0, failed: 0 });
    metrics.ended(outcome);
    metrics.ended({ ...outcome, outcome: 'rolled back' });
    metrics.failed(rotation);
    metrics.failed(rotation);
    expect(await figures('keyturn_rotations_total')).toEqual({ closed: 1, rolled_back: 1, failed: 2 });
  });

  it('the time from preflight to the end is measured, also where preflight was tried twice', async () => {
    metrics.record(started);
    clock.advance(60_000);
    metrics.record({ ...started, at: new Date(clock.now()).toISOString() });
    clock.advance(60_000);
    metrics.ended(outcome);
    const family = 'keyturn_rotation_duration_seconds';
    expect(await figures(family, `${family}_sum`)).toEqual({ closed: 120 });
    expect(await figures(family, `${family}_bucket`)).toMatchObject({ '60 closed': 0, '300 closed': 1 });
  });

  it('no time is invented for one that this process resumed', async () => {
    metrics.record(standing([]));
    metrics.ended(outcome);
    const family = 'keyturn_rotation_duration_seconds';
    expect(await figures(family, `${family}_count`)).not.toHaveProperty('closed');
    expect(await figures('keyturn_rotations_total')).toMatchObject({ closed: 1 });
  });
});

it('requests to the vault, accepted events, instances and lost notifications are shown', async () => {
  const notifications = () => [{ target: 'slack', waiting: 3, delivered: 9, dropped: 2, gaveUp: 1 }];
  metrics = openMetrics({ clock, status: () => ({ ...status, connectedInstances: 12 }), notifications });
  metrics.vaultRequest({ operation: 'publish', status: 200 });
  metrics.vaultRequest({ operation: 'publish', status: 200 });
  metrics.vaultRequest({ operation: 'versions', status: 'none' });
  metrics.eventAccepted();
  expect(await figures('keyturn_vault_requests_total')).toEqual({ 'publish 200': 2, 'versions none': 1 });
  expect(await figures('keyturn_events_accepted_total')).toEqual({ '': 1 });
  expect(await figures('keyturn_fleet_instances_connected')).toEqual({ '': 12 });
  const lost = { 'slack queue_full': 2, 'slack gave_up': 1 };
  expect(await figures('keyturn_notifications_dropped_total')).toEqual(lost);
  expect(await figures('keyturn_notifications_dropped_total')).toEqual(lost);
});

it('a scrape fails where the status can not be had, rather than show what was', async () => {
  metrics = openMetrics({ clock, status: () => Promise.reject(new Error('no database')) });
  await expect(metrics.text()).rejects.toThrow('no database');
});

it('scrapes that overlap are each whole', async () => {
  const secrets = Array.from({ length: 500 }, (_, index) => ({ secret: `s${index}`, publishedAt: 0 }));
  status = { ...status, secrets };
  const texts = await Promise.all([metrics.text(), metrics.text(), metrics.text()]);
  for (const text of texts)
    expect(parseExposition(text).get('keyturn_secret_age_seconds')?.samples).toHaveLength(500);
});

it('with 10,000 secrets a scrape takes less than a second', async () => {
  const now = clock.now();
  const secrets = Array.from({ length: 10_000 }, (_, index) => ({
    secret: `secret-number-${index}`,
    publishedAt: now,
    expiresAt: now + hourMs,
    overlapOpenedAt: now,
  }));
  status = { secrets, connectedInstances: 5_000 };
  const began = performance.now();
  const text = await metrics.text();
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(parseExposition(text).get('keyturn_stragglers')?.samples).toHaveLength(10_000);
});

it('every metric is in the table for users, with its labels', async () => {
  const notifications = () => [{ target: 'slack', waiting: 0, delivered: 0, dropped: 0, gaveUp: 0 }];
  status = { ...status, secrets: [{ secret: 'a', publishedAt: 0, expiresAt: 0, drifted: 2 }] };
  metrics = openMetrics({ clock, status: () => status, notifications });
  metrics.vaultRequest({ operation: 'read', status: 200 });
  metrics.record(started);
  metrics.ended(outcome);
  const families = parseExposition(await metrics.text());
  const made = [...families].map(([name, { samples }]) => {
    const labels = Object.keys(samples[0]?.labels ?? {}).filter((label) => label !== 'le');
    return `${name} ${labels.map((label) => `\`${label}\``).join(', ')}`.trim();
  });
  const page = readFileSync(new URL('../../../docs/observability.md', import.meta.url), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `keyturn_'));
  const listed = rows.map((row) => row.split('|').map((cell) => cell.trim()));
  expect(
    listed.map(([, name = '', labels]) => `${name.replaceAll('`', '')} ${labels}`.trim()).toSorted(),
  ).toEqual(made.toSorted());
});

it.each([
  ['# TYPE a gauge\na 1\n', 'no HELP'],
  ['# HELP a x\n# TYPE a counter\na 1\n', 'wrong name'],
  ['# HELP a x\n# TYPE a gauge\na{b="c} 1\n', 'No sample'],
  ['# HELP a x\n# TYPE a gauge\na 1\na 2\n', 'Twice'],
  ['# HELP a x\n# TYPE a gauge\na one\n', 'No figure'],
  ['# HELP a x\n# TYPE a gauge\na 1', 'does not end'],
])('the check of the format refuses what is wrong: %j', (text, why) => {
  expect(() => parseExposition(text)).toThrow(why);
});
