import type { RotationRecord } from '../events.ts';
import type { Json } from '../journal/run.ts';
import type { ServiceReport } from '../service.ts';
import type { VaultEvent } from '../triggers/vault-event.ts';
import { plainError } from './plain-error.ts';

/** In order: what is below the least that is asked for is left out. */
export const levels = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof levels)[number];

/** `fields` hold names, numbers and reasons; a value is in none of them. */
export interface LogLine {
  readonly level: Level;
  readonly event: string;
  readonly fields: { readonly [name: string]: Json | undefined };
}

/** What a log says of something that happens to a rotation; `warn` is what a person may have to look at. */
export function recordLine(record: RotationRecord): LogLine {
  const { rotation } = record;
  const said = (level: Level, event: string, fields: LogLine['fields']): LogLine => ({
    level,
    event,
    fields: { rotation, secret: rotation.slice(0, rotation.lastIndexOf('@')), ...fields },
  });
  switch (record.kind) {
    case 'phase':
      return said('info', 'phase', { phase: record.phase });
    case 'standing': {
      const { version, converged, instances, verdicts } = record;
      const stragglers = verdicts.flatMap((verdict) => verdict.stragglers);
      return said('info', 'standing', { version, converged, instances: instances.length, stragglers });
    }
    case 'retrying': {
      const { phase, message, hint, nextInMs } = record;
      return said('warn', 'retrying', { phase, message, hint, nextInMs });
    }
    case 'held':
      return said('warn', 'held', { stragglers: record.stragglers });
    case 'rejected':
      return said('warn', 'rejected', { reason: record.reason });
    case 'awaiting approval':
      return said('warn', 'awaiting approval', { who: record.request.who, why: record.request.why });
    case 'emergency':
      return said('warn', 'emergency', { breaks: record.breaks });
    case 'order': {
      const { order, who, why } = record.given;
      return said('info', 'order', { order, who, why });
    }
    case 'requested': {
      const { who, why, compromised } = record.request;
      return said('info', 'requested', { who, why, compromised });
    }
    case 'alarm':
      return said('error', 'alarm', { reason: record.reason });
    case 'ended': {
      const { outcome, version, revokedVersion, overlapMs, notChecked } = record.outcome;
      const level = outcome === 'closed' ? 'info' : 'warn';
      return said(level, 'ended', { outcome, version, revokedVersion, overlapMs, notChecked });
    }
    case 'failed': {
      const { code, message, hint } = record;
      return said('error', 'failed', { code, message, hint });
    }
  }
}

/** What a log says of what happens around rotations: triggers, deliveries, replicas, notifications. */
export function reportLine(report: ServiceReport): LogLine {
  switch (report.kind) {
    case 'accepted':
      return line('info', 'events accepted', { events: report.events, ignored: report.ignored });
    case 'refused':
      return line('warn', 'events refused', { status: report.status, reason: report.reason });
    case 'validated':
      return line('info', 'event grid validated', {});
    case 'subscription deleted':
      return line('warn', 'subscription deleted', { subscription: report.subscription });
    case 'event':
      return line('info', 'event', { ...of(report.event), action: report.action, reason: report.reason });
    case 'handled':
      return line('debug', 'event handled', of(report.event));
    case 'failed': {
      const { event, attempts, nextInMs, error } = report;
      return line('warn', 'event failed', { ...of(event), attempts, nextInMs, ...plainError(error) });
    }
    case 'inbox unreadable':
      return line('error', 'inbox unreadable', plainError(report.error));
    case 'vault unseen':
      return line('warn', 'vault unseen', { secret: report.secret, ...plainError(report.error) });
    case 'drift': {
      const findings = report.findings.map(({ check, says }) => `${check}: ${says}`);
      return line(findings.length > 0 ? 'warn' : 'info', 'drift', { secret: report.secret, findings });
    }
    case 'drift unseen':
      return line('warn', 'drift unseen', { secret: report.secret, ...plainError(report.error) });
    case 'taken over': {
      const { rotation, from } = report;
      const secret = rotation.slice(0, rotation.lastIndexOf('@'));
      return line('warn', 'taken over', { rotation, secret, from });
    }
    case 'notifications': {
      const { kind, ...fields } = report.report;
      return line(kind === 'recovered' ? 'info' : 'warn', `notifications ${kind}`, fields);
    }
    case 'unexpected':
      return line('error', 'failed', plainError(report.error));
  }
}

function line(level: Level, event: string, fields: LogLine['fields']): LogLine {
  return { level, event, fields };
}

function of({ secret, version, kind, eventId }: VaultEvent): LogLine['fields'] {
  return { secret, version, about: kind, eventId };
}
