import { createHash } from 'node:crypto';
import { SpanStatusCode, trace, TraceFlags, ROOT_CONTEXT, type Span, type Tracer } from '@opentelemetry/api';
import type { RotationId } from '@keyturn/source';
import type { Phase, RotationRecord } from '../events.ts';
import type { Outcome } from '../rotation.ts';
import type { PlainError } from './plain-error.ts';

/**
 * The spans of rotations: one trace a rotation, in it one span for each time that a process took it up, and in that
 * one for each phase. What it is told holds no value, and neither do the spans.
 */
export interface Traces {
  record(record: RotationRecord): void;
  /** `at` is ISO 8601. */
  ended(outcome: Outcome, at: string): void;
  failed(rotation: RotationId, failure: PlainError, at: string): void;
  /** Ends what is open here; whoever resumes those rotations goes on in the same traces. */
  close(at: string): void;
}

interface Open {
  readonly rotation: RotationId;
  readonly whole: Span;
  phase?: { readonly name: Phase; readonly span: Span; held: boolean };
}

const namedStragglers = 20;

/** `vault` is its URL. Without an SDK registered with the API, nothing of this costs or leaves anything. */
export function openTraces(vault: string, tracer: Tracer = trace.getTracer('@keyturn/rotator')): Traces {
  /** By secret: at most one rotation of a secret is open. */
  const open = new Map<string, Open>();

  function rotating({ rotation, at }: RotationRecord): Open {
    const secret = rotation.slice(0, rotation.lastIndexOf('@'));
    const found = open.get(secret);
    if (found?.rotation === rotation) return found;
    if (found) finish(found, at, { 'keyturn.interrupted': true });
    const attributes = {
      'keyturn.vault': vault,
      'keyturn.secret.name': secret,
      'keyturn.rotation': rotation,
    };
    const options = { startTime: new Date(at), attributes };
    const begun = { rotation, whole: tracer.startSpan('rotation', options, traceOf(vault, rotation)) };
    open.set(secret, begun);
    return begun;
  }

  /** A phase that is reported again while it is on (converge is, every minute) is the same phase. */
  function enter(current: Open, name: Phase, at: string): void {
    if (current.phase?.name === name) return;
    current.phase?.span.end(new Date(at));
    const within = trace.setSpan(ROOT_CONTEXT, current.whole);
    const span = tracer.startSpan(name, { startTime: new Date(at) }, within);
    current.phase = { name, span, held: false };
  }

  function finish(
    current: Open,
    at: string,
    attributes: Readonly<Record<string, string | number | boolean>>,
  ) {
    for (const [key, { rotation }] of open) if (rotation === current.rotation) open.delete(key);
    current.phase?.span.end(new Date(at));
    current.whole.setAttributes(attributes).end(new Date(at));
  }

  function find(rotation: RotationId): Open | undefined {
    return [...open.values()].find((one) => one.rotation === rotation);
  }

  return {
    record(record) {
      const current = rotating(record);
      if (record.kind === 'phase') enter(current, record.phase, record.at);
      else tell(current, record);
    },
    ended({ id, outcome, version, overlapMs, notChecked }, at) {
      const current = find(id);
      if (!current) return;
      finish(current, at, {
        'keyturn.outcome': outcome,
        'keyturn.secret.version': version,
        'keyturn.overlap_ms': overlapMs,
        'keyturn.not_checked': notChecked.join('; '),
      });
    },
    failed(rotation, { code, message }, at) {
      const current = find(rotation);
      if (!current) return;
      const failed = { code: SpanStatusCode.ERROR, message };
      current.phase?.span.setStatus(failed);
      current.whole.setStatus(failed);
      finish(current, at, { 'keyturn.outcome': 'failed', 'error.type': code });
    },
    close(at) {
      // What is ended is taken out of the map on the way, which a map allows.
      for (const current of open.values()) finish(current, at, { 'keyturn.interrupted': true });
    },
  };
}

/** What happens within a phase. A look at the standing every two seconds is no event: its last figures are kept. */
function tell(current: Open, record: Exclude<RotationRecord, { kind: 'phase' }>): void {
  const span = current.phase?.span ?? current.whole;
  const at = new Date(record.at);
  switch (record.kind) {
    case 'standing': {
      const stragglers = record.verdicts.flatMap((verdict) => verdict.stragglers);
      span.setAttributes({
        'keyturn.instances': record.instances.length,
        'keyturn.stragglers': stragglers.length,
      });
      return;
    }
    case 'retrying':
      span.addEvent('retrying', { message: record.message, next_in_ms: record.nextInMs }, at);
      return;
    case 'held':
      if (current.phase?.held) return;
      if (current.phase) current.phase.held = true;
      span.addEvent('held', { stragglers: record.stragglers.slice(0, namedStragglers) }, at);
      return;
    case 'rejected':
      current.whole.addEvent('rejected', { reason: record.reason }, at);
  }
}

/**
 * The trace that a rotation's spans land in, whichever process makes them: its id is made of what the rotation is
 * about. The span that they name as their parent is never sent; it only carries the id, and that it is sampled.
 */
function traceOf(vault: string, rotation: RotationId) {
  const hash = createHash('sha256')
    .update(JSON.stringify([vault, rotation]))
    .digest('hex');
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: hash.slice(0, 32),
    spanId: hash.slice(32, 48),
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}
