import { metrics, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSecrets, type Secrets } from '../src/index.ts';
import { fakeClock, type FakeClock } from './fakes/fake-clock.ts';
import { fakeVault, httpError, type FakeVault } from './fakes/fake-vault.ts';

let clock: FakeClock;
let vault: FakeVault;
let secrets: Secrets;
const spans = new InMemorySpanExporter();
let exported: InMemoryMetricExporter;
let reader: PeriodicExportingMetricReader;
let meters: MeterProvider;
let tracers: TracerProvider;

function register(): void {
  exported = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  reader = new PeriodicExportingMetricReader({ exporter: exported, exportIntervalMillis: 1_000_000 });
  meters = new MeterProvider({ readers: [reader] });
  tracers = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] });
  metrics.setGlobalMeterProvider(meters);
  trace.setGlobalTracerProvider(tracers);
}

beforeEach(() => {
  clock = fakeClock();
  vault = fakeVault('v1');
  secrets = openSecrets({ vault, clock, random: () => 0.5 });
});
afterEach(async () => {
  await secrets.close();
  await meters?.shutdown();
  await tracers?.shutdown();
  metrics.disable();
  trace.disable();
});

async function figures(): Promise<Record<string, unknown>> {
  exported.reset();
  await reader.forceFlush();
  const all = exported
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  return Object.fromEntries(
    all.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      dataPoints.map(({ attributes, value }) => [
        attributes['error.type'] ?? attributes['keyturn.secret.name'],
        typeof value === 'object' ? value.count : value,
      ]),
    ]),
  );
}

test('what happens to a secret can be seen in metrics and spans', async () => {
  register();
  await secrets.get('db');
  await secrets.use('db', () => Promise.reject(httpError(401))).catch(() => {});
  vault.publish('v2');
  await clock.advance(60_000);
  vault.behaviour = httpError(503);
  await clock.advance(120_000);
  expect(await figures()).toMatchObject({
    'keyturn.secret.changes': [['db', 2]],
    'keyturn.secret.refusals': [['db', 1]],
    'keyturn.secret.stale': [['db', 1]],
    'keyturn.secret.age': [['db', expect.closeTo(120, -2)]],
    'keyturn.vault.read.duration': [
      ['db', 3],
      ['VAULT_UNREACHABLE', expect.any(Number)],
    ],
  });
  const [first, ...others] = spans.getFinishedSpans();
  expect(first).toMatchObject({ name: 'keyturn.vault.read', attributes: { 'keyturn.secret.name': 'db' } });
  expect(others.at(-1)?.attributes['error.type']).toBe('VAULT_UNREACHABLE');
  expect(
    JSON.stringify([spans.getFinishedSpans().map(({ attributes }) => attributes), await figures()]),
  ).not.toContain('value of');
});

test('an SDK that is registered later is found, and closing ends the observation', async () => {
  await secrets.get('db');
  register();
  await clock.advance(60_000);
  expect(await figures()).toMatchObject({ 'keyturn.vault.read.duration': [['db', 1]] });
  await secrets.close();
  const age = (await figures())['keyturn.secret.age'];
  await clock.advance(60_000);
  expect((await figures())['keyturn.secret.age']).toEqual(age); // the SDK repeats what it was told last
});
