import { SpanStatusCode } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  InMemorySpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Phase, RotationRecord } from '../src/events.ts';
import { openTraces, type Traces } from '../src/telemetry/traces.ts';
import { held, outcome, rejected, rotation, standing, vault } from './notices.ts';

let exporter: InMemorySpanExporter;
let provider: TracerProvider;
let traces: Traces;
let second: number;

beforeEach(() => {
  exporter = new InMemorySpanExporter();
  // The sampler keeps what its parent says is kept, and nothing that has no parent.
  const sampler = new ParentBasedSampler({ root: new AlwaysOffSampler() });
  provider = new TracerProvider({ sampler, spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  traces = openTraces(vault, provider.getTracer('test'));
  second = 0;
});
afterEach(() => provider.shutdown());

/** Each thing that is told happens a second after the one before. */
function at(): string {
  return new Date(Date.UTC(2026, 0, 1, 0, 0, second++)).toISOString();
}

function enter(...phases: readonly Phase[]): void {
  for (const phase of phases) traces.record({ kind: 'phase', phase, rotation, at: at() });
}

function tell(record: RotationRecord): void {
  traces.record({ ...record, at: at() });
}

function spans() {
  return exporter.getFinishedSpans();
}

function named(name: string) {
  const found = spans().find((span) => span.name === name);
  if (!found) throw new Error(`There is no span ${name}.`);
  return found;
}

function secondsOf(name: string): number {
  return named(name).duration[0];
}

describe('a rotation', () => {
  it('is one trace, with a span for the whole and one for each phase', () => {
    enter('preflight', 'issue', 'prove', 'publish', 'announce', 'converge', 'verify', 'revoke', 'close');
    traces.ended(outcome, at());
    const whole = named('rotation');
    expect(spans().map(({ name }) => name)).toEqual([
      'preflight',
      'issue',
      'prove',
      'publish',
      'announce',
      'converge',
      'verify',
      'revoke',
      'close',
      'rotation',
    ]);
    expect(new Set(spans().map((span) => span.spanContext().traceId)).size).toBe(1);
    for (const span of spans().slice(0, -1))
      expect(span.parentSpanContext?.spanId).toBe(whole.spanContext().spanId);
    expect(secondsOf('rotation')).toBe(9);
    expect(secondsOf('issue')).toBe(1);
    expect(whole.attributes).toEqual({
      'keyturn.vault': vault,
      'keyturn.secret.name': 'orders-db',
      'keyturn.rotation': rotation,
      'keyturn.outcome': 'closed',
      'keyturn.secret.version': 'v2',
      'keyturn.overlap_ms': 61_500,
      'keyturn.not_checked': '',
    });
  });

  it('that another process resumed goes on in the same trace', () => {
    enter('preflight', 'issue');
    traces.close(at());
    const other = openTraces(vault, provider.getTracer('another process'));
    other.record({ kind: 'phase', phase: 'converge', rotation, at: at() });
    other.ended(outcome, at());
    const wholes = spans().filter(({ name }) => name === 'rotation');
    expect(wholes.map(({ attributes }) => attributes['keyturn.interrupted'])).toEqual([true, undefined]);
    expect(new Set(spans().map((span) => span.spanContext().traceId)).size).toBe(1);
    expect(new Set(spans().map((span) => span.spanContext().spanId)).size).toBe(5);
  });

  it('of another secret, version or vault is another trace', () => {
    const others = [vault, vault, vault, 'https://stock.vault.azure.net'];
    ['orders-db@v1', 'orders-db@v2', 'stock-db@v1', 'orders-db@v1'].forEach((id, index) => {
      const opened = openTraces(others[index] ?? '', provider.getTracer('test'));
      opened.record({ kind: 'phase', phase: 'preflight', rotation: id, at: at() });
      opened.close(at());
    });
    const wholes = spans().filter(({ name }) => name === 'rotation');
    expect(new Set(wholes.map((span) => span.spanContext().traceId)).size).toBe(4);
  });

  it('of the same secret that follows ends the one of which nothing more was heard', () => {
    enter('preflight');
    traces.record({ kind: 'phase', phase: 'preflight', rotation: 'orders-db@v2', at: at() });
    traces.close(at());
    expect(spans().filter(({ name }) => name === 'rotation')).toHaveLength(2);
  });
});

describe('a phase', () => {
  it('that is reported again while it is on is one span', () => {
    enter('converge', 'converge', 'converge', 'verify');
    traces.ended(outcome, at());
    expect(spans().filter(({ name }) => name === 'converge')).toHaveLength(1);
    expect(secondsOf('converge')).toBe(3);
  });

  it('that was held says so once, with the stragglers, however long it lasts', () => {
    enter('converge');
    for (let minute = 0; minute < 200; minute += 1) tell(held);
    enter('verify');
    traces.ended(outcome, at());
    expect(named('converge').events).toMatchObject([
      { name: 'held', attributes: { stragglers: ['orders/web-1'] } },
    ]);
  });

  it('keeps the last figures of its looks, and no event of each', () => {
    enter('converge');
    tell(standing(['orders/web-1', 'orders/web-2']));
    tell(standing(['orders/web-2']));
    traces.ended(outcome, at());
    expect(named('converge').attributes).toEqual({ 'keyturn.instances': 0, 'keyturn.stragglers': 1 });
    expect(named('converge').events).toEqual([]);
  });

  it('that was tried again says why and when', () => {
    enter('publish');
    const message = 'The vault gave no answer within 10000 ms.';
    tell({ kind: 'retrying', phase: 'publish', message, nextInMs: 500, rotation, at: '' });
    traces.ended(outcome, at());
    expect(named('publish').events).toMatchObject([
      { name: 'retrying', attributes: { message, next_in_ms: 500 } },
    ]);
  });
});

it('a rejected version and a failure can be seen in the spans', () => {
  enter('converge');
  tell(rejected);
  enter('roll back');
  traces.failed(rotation, { code: 'VAULT_FORBIDDEN', message: 'The vault answered 403.' }, at());
  expect(named('rotation').events).toMatchObject([
    { name: 'rejected', attributes: { reason: 'the source refuses it' } },
  ]);
  const failed = { code: SpanStatusCode.ERROR, message: 'The vault answered 403.' };
  expect(named('rotation').status).toEqual(failed);
  expect(named('roll back').status).toEqual(failed);
  expect(named('rotation').attributes['error.type']).toBe('VAULT_FORBIDDEN');
});

it('without an SDK nothing is made, and nothing breaks', () => {
  traces = openTraces(vault);
  enter('preflight', 'issue');
  tell(held);
  traces.ended(outcome, at());
  traces.failed(rotation, { code: 'SOURCE', message: 'never heard of it' }, at());
  expect(spans()).toEqual([]);
});
