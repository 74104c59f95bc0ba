import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';
import type { RotationId } from '@keyturn/source';
import type { Clock } from '../clock.ts';
import type { RotationRecord } from '../events.ts';
import type { Outcome } from '../rotation.ts';
import type { TargetCounts } from '../notify/target-queue.ts';
import type { RotatorStatus } from './secret-status.ts';

export interface MetricsOptions {
  readonly clock: Clock;
  /** Asked at every scrape. If it throws, so does the scrape: figures that may be old are no figures. */
  readonly status: () => RotatorStatus | Promise<RotatorStatus>;
  readonly notifications?: () => readonly TargetCounts[];
}

export interface VaultRequest {
  readonly operation: 'current' | 'versions' | 'read' | 'publish' | 'tag' | 'disable';
  /** What it answered: `200`, `403`; `none` if nothing came. */
  readonly status: number | 'none';
}

/** What Prometheus reads. Names of secrets and targets are labels; values never are. */
export interface Metrics {
  record(record: RotationRecord): void;
  ended(outcome: Outcome): void;
  failed(rotation: RotationId): void;
  vaultRequest(request: VaultRequest): void;
  /** An event of the vault was accepted and will be worked on. */
  eventAccepted(): void;
  /** The exposition in text, to be served under `contentType`. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** From a second to a week: an App Service reference alone makes an overlap window of two days. */
const durationBuckets = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 172_800, 604_800];
const outcomes = ['closed', 'rolled_back', 'failed'] as const;

export function openMetrics(options: MetricsOptions): Metrics {
  const { clock, status, notifications = () => [] } = options;
  const registry = new Registry();
  const own = instruments(registry);
  /** Of the rotations that began under our eyes: how long others took is not known here. */
  const started = new Map<string, { readonly rotation: RotationId; readonly at: number }>();
  const stragglers = new Map<string, number>();
  for (const outcome of outcomes) own.rotations.inc({ outcome }, 0);

  function end(rotation: RotationId, outcome: (typeof outcomes)[number]): void {
    own.rotations.inc({ outcome });
    const secret = secretOf(rotation);
    stragglers.delete(secret);
    const begun = started.get(secret);
    started.delete(secret);
    if (begun?.rotation === rotation) own.duration.observe({ outcome }, (clock.now() - begun.at) / 1_000);
  }

  function show({ secrets, connectedInstances }: RotatorStatus): void {
    const now = clock.now();
    for (const gauge of [own.age, own.expires, own.overlap, own.stragglers, own.drift]) gauge.reset();
    for (const { secret, publishedAt, expiresAt, overlapOpenedAt, drifted } of secrets) {
      if (publishedAt !== undefined) own.age.set({ secret }, seconds(now - publishedAt));
      if (expiresAt !== undefined) own.expires.set({ secret }, (expiresAt - now) / 1_000);
      own.overlap.set({ secret }, overlapOpenedAt === undefined ? 0 : seconds(now - overlapOpenedAt));
      own.stragglers.set({ secret }, stragglers.get(secret) ?? 0);
      if (drifted !== undefined) own.drift.set({ secret }, drifted);
    }
    own.connected.set(connectedInstances);
    own.dropped.reset();
    for (const { target, dropped, gaveUp } of notifications()) {
      own.dropped.inc({ target, reason: 'queue_full' }, dropped);
      own.dropped.inc({ target, reason: 'gave_up' }, gaveUp);
    }
  }

  return {
    contentType: registry.contentType,
    record(record) {
      const { rotation, at } = record;
      const secret = secretOf(rotation);
      if (
        record.kind === 'phase' &&
        record.phase === 'preflight' &&
        started.get(secret)?.rotation !== rotation
      )
        started.set(secret, { rotation, at: Date.parse(at) });
      if (record.kind === 'standing')
        stragglers.set(secret, record.verdicts.flatMap((verdict) => verdict.stragglers).length);
    },
    ended: ({ id, outcome }) => end(id, outcome === 'closed' ? 'closed' : 'rolled_back'),
    failed: (rotation) => end(rotation, 'failed'),
    vaultRequest: (request) =>
      own.vaultRequests.inc({ operation: request.operation, status: String(request.status) }),
    eventAccepted: () => own.events.inc(),
    async text() {
      show(await status());
      return registry.metrics();
    },
  };
}

/** What Prometheus calls them; its conventions ask for base units, and `_total` on what only grows. */
function instruments(registry: Registry) {
  const registers = [registry];
  const perSecret = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['secret'], registers });
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers });
  return {
    age: perSecret('keyturn_secret_age_seconds', 'Time since the current version was published.'),
    expires: perSecret(
      'keyturn_secret_expires_seconds',
      'Time until the current version expires; negative once it has.',
    ),
    overlap: perSecret(
      'keyturn_overlap_open_seconds',
      'How long the overlap window has been open; 0 while none is.',
    ),
    stragglers: perSecret('keyturn_stragglers', 'Instances and sessions that keep the overlap window open.'),
    drift: perSecret('keyturn_drift_findings', 'What is not as the last rotation left it, by the last look.'),
    rotations: counter('keyturn_rotations_total', 'Rotations that ended, by outcome.', ['outcome']),
    duration: new Histogram({
      name: 'keyturn_rotation_duration_seconds',
      help: 'From the start of a rotation to its end; those resumed after a restart are left out.',
      labelNames: ['outcome'],
      buckets: durationBuckets,
      registers,
    }),
    vaultRequests: counter('keyturn_vault_requests_total', 'Requests to Key Vault.', ['operation', 'status']),
    connected: new Gauge({
      name: 'keyturn_fleet_instances_connected',
      help: 'Application instances that listen to this rotator.',
      registers,
    }),
    events: counter('keyturn_events_accepted_total', 'Events of the vault that were accepted.', []),
    dropped: counter(
      'keyturn_notifications_dropped_total',
      'Notifications that were never delivered: too much waited, or the target took none for a day.',
      ['target', 'reason'],
    ),
  };
}

/** The vault's clock may be ahead of ours. */
function seconds(ms: number): number {
  return Math.max(0, ms) / 1_000;
}

function secretOf(rotation: RotationId): string {
  return rotation.slice(0, rotation.lastIndexOf('@'));
}
