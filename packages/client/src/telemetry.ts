import type { Attributes, Meter, Tracer } from '@opentelemetry/api';
import type { Listeners } from './events.ts';
import type { SecretsHealth } from './health.ts';
import type { SecretsError } from './secrets-error.ts';

/**
 * Metrics and spans through `@opentelemetry/api`, where the application has registered an SDK with it; nothing, and
 * nothing is loaded, where it hasn't. The names are in the README. Names and versions of secrets are attributes;
 * values never are.
 */
export interface Telemetry {
  /** Passes a read of the vault on, and measures it. */
  read<Reading>(name: string, read: () => Promise<Reading>): Promise<Reading>;
  close(): void;
}

// Where the API keeps what was registered with it, for every copy of itself in the process.
const registration = Symbol.for('opentelemetry.js.api.1');
const scope = '@keyturn/client';

interface Instruments {
  readonly tracer: Tracer;
  readonly duration: ReturnType<Meter['createHistogram']>;
  close(): void;
}

export function openTelemetry(at: {
  readonly on: Listeners['on'];
  readonly health: () => SecretsHealth;
}): Telemetry {
  let instruments: Instruments | undefined;
  let api: typeof import('@opentelemetry/api') | undefined;
  let meters: unknown;
  let closed = false;

  async function look(): Promise<void> {
    api ??= await import('@opentelemetry/api');
    const provider = api.metrics.getMeterProvider();
    if (closed || provider === meters) return;
    meters = provider; // an SDK was registered since
    instruments?.close();
    instruments = instrument(provider.getMeter(scope), api.trace.getTracer(scope), at);
  }

  return {
    async read(name, read) {
      // The application's SDK may have a copy of the API that can't be had from here: then nothing is measured.
      if (registration in globalThis) await look().catch(() => {});
      return instruments ? measured(instruments, name, read) : read();
    },
    close() {
      closed = true;
      instruments?.close();
    },
  };
}

async function measured<Reading>(
  { tracer, duration }: Instruments,
  name: string,
  read: () => Promise<Reading>,
): Promise<Reading> {
  const startedAt = performance.now();
  const attributes: Attributes = { 'keyturn.secret.name': name };
  const span = tracer.startSpan('keyturn.vault.read', { kind: 2 /* client */, attributes });
  try {
    return await read();
  } catch (error) {
    const { code } = error as SecretsError;
    attributes['error.type'] = code;
    span.setAttribute('error.type', code).setStatus({ code: 2 /* error */, message: code });
    throw error;
  } finally {
    duration.record((performance.now() - startedAt) / 1_000, attributes);
    span.end();
  }
}

function instrument(
  meter: Meter,
  tracer: Tracer,
  { on, health }: { readonly on: Listeners['on']; readonly health: () => SecretsHealth },
): Instruments {
  const changes = meter.createCounter('keyturn.secret.changes', { description: 'Versions taken up.' });
  const refusals = meter.createCounter('keyturn.secret.refusals', { description: 'Refusals by a source.' });
  const age = meter.createObservableGauge('keyturn.secret.age', {
    unit: 's',
    description: 'Since the vault last confirmed the value.',
  });
  const stale = meter.createObservableGauge('keyturn.secret.stale', {
    description: '1 while the vault fails and the last good value is served, 2 when it no longer is.',
  });
  const connected = meter.createObservableGauge('keyturn.rotator.connected', { description: '1 or 0.' });

  const observe: Parameters<Meter['addBatchObservableCallback']>[0] = (result) => {
    const { secrets, rotator } = health();
    for (const { name, state, ageMs } of secrets) {
      const attributes = { 'keyturn.secret.name': name };
      if (ageMs !== undefined) result.observe(age, ageMs / 1_000, attributes);
      result.observe(stale, { loading: 0, fresh: 0, stale: 1, missing: 2 }[state], attributes);
    }
    if (rotator) result.observe(connected, rotator === 'connected' ? 1 : 0);
  };
  const observed = [age, stale, connected];
  meter.addBatchObservableCallback(observe, observed);
  const unsubscribe = [
    on('changed', ({ name }) => changes.add(1, { 'keyturn.secret.name': name })),
    on('refused', ({ name }) => refusals.add(1, { 'keyturn.secret.name': name })),
  ];
  return {
    tracer,
    duration: meter.createHistogram('keyturn.vault.read.duration', {
      unit: 's',
      description: 'Reads of the vault; error.type is the code of the SecretsError.',
    }),
    close() {
      meter.removeBatchObservableCallback(observe, observed);
      for (const off of unsubscribe) off();
    },
  };
}
