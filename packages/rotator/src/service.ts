import { Hono } from 'hono';
import { Pool } from 'pg';
import { systemClock } from './clock.ts';
import type { RotationRecord } from './events.ts';
import { reaching } from './journal/journal-url.ts';
import type { TakenOver } from './journal/takeover.ts';
import type { Target } from './notify/deliver.ts';
import { noticeOf } from './notify/notice.ts';
import { openNotifier } from './notify/notifier.ts';
import type { NotifierReport } from './notify/target-queue.ts';
import type { Due } from './policy/due.ts';
import { spreadMs } from './policy/spread.ts';
import { whenStarts, whyItWaits, type WhenStartsFacts } from './policy/when-starts.ts';
import type { DriftFinding } from './policy/drift-facts.ts';
import { findDrift } from './drift.ts';
import { rotationId } from './rotation.ts';
import { openRotator, type Rotator, type RotatorOptions } from './rotator.ts';
import { requireRole, type ApiEnvironment, type Auth } from './server/api-auth.ts';
import { apiRoutes } from './server/api-routes.ts';
import { openMetrics } from './telemetry/metrics.ts';
import { openTraces } from './telemetry/traces.ts';
import { watchDrift, type DriftWatch } from './triggers/drift-watch.ts';
import { eventGridRoutes, type DeliveryReport } from './triggers/event-grid-routes.ts';
import { openInbox } from './triggers/inbox.ts';
import { decide } from './triggers/on-vault-event.ts';
import type { Outlook } from './triggers/operator.ts';
import { keepPruning } from './triggers/pruning.ts';
import { openSchedule, type Failure, type Schedule } from './triggers/schedule.ts';
import type { VaultEvent } from './triggers/vault-event.ts';
import { watchVault, type VaultWatch } from './triggers/vault-watch.ts';
import { openWebhookAuth, type WebhookAuth } from './triggers/webhook-auth.ts';
import { workInbox, type InboxReport } from './triggers/work-inbox.ts';

/** What a service tells besides its rotations, for logs. */
export type ServiceReport =
  | DeliveryReport
  | InboxReport
  | { readonly kind: 'notifications'; readonly report: NotifierReport }
  | { readonly kind: 'event'; readonly event: VaultEvent; readonly action: string; readonly reason: string }
  | { readonly kind: 'vault unseen'; readonly secret: string; readonly error: unknown }
  /** Something is not as the last rotation left it, or no longer. */
  | { readonly kind: 'drift'; readonly secret: string; readonly findings: readonly DriftFinding[] }
  | { readonly kind: 'drift unseen'; readonly secret: string; readonly error: unknown }
  /** A rotation of a rotator that is gone is gone on with, here or at another one that lives. */
  | ({ readonly kind: 'taken over' } & TakenOver)
  | { readonly kind: 'unexpected'; readonly error: unknown };

export interface ServiceOptions extends Omit<RotatorOptions, 'serve' | 'outlook' | 'watches' | 'tookOver'> {
  /** Who may ask what. */
  readonly auth: Auth;
  /** How Event Grid shows that it is the sender; without it no events are taken. */
  readonly events?: WebhookAuth;
  /** How often each secret is looked at in the vault, milliseconds. */
  readonly watchEveryMs: number;
  /** How often each secret is looked at for drift, milliseconds. */
  readonly driftEveryMs?: number;
  /** How long a rotation that has ended is remembered, milliseconds. */
  readonly keepMs?: number;
  /** Who is told what becomes of rotations. */
  readonly notify?: readonly Target[];
  readonly tell: (report: ServiceReport) => void;
}

/** A rotator that runs for years: triggers in, rotations out, an API for people and programs. */
export interface Service extends Pick<Rotator, 'url' | 'operator' | 'failed'> {
  /** Takes nothing new, lets what changes things finish, and stops; open rotations are resumed by the next one. */
  close(): Promise<void>;
}

const dayMs = 86_400_000;
const atOnce = 4;
const handleWithinMs = 60_000;
const rememberEventsMs = 7 * 86_400_000;

/** Opens a service. It resolves when it listens; what fails for a passing reason afterwards is told and tried again. */
export async function openService(options: ServiceOptions): Promise<Service> {
  const { vault, auth, events, watchEveryMs, driftEveryMs = dayMs, tell, clock = systemClock } = options;
  const names = options.secrets.map(({ policy }) => policy.secret);
  const policies = new Map(options.secrets.map(({ policy }) => [policy.secret.toLowerCase(), policy]));
  const now = (): string => new Date(clock.now()).toISOString();
  let watch: VaultWatch | undefined;
  let rotator: Rotator | undefined;
  let schedule: Schedule | undefined;
  let drifts: DriftWatch | undefined;
  const undo: (() => Promise<unknown> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };

  const traces = openTraces(vault.url);
  undo.push(() => traces.close(now()));
  const notifier = openNotifier({
    vault: vault.url,
    targets: options.notify ?? [],
    clock,
    random: Math.random,
    report: (line) => tell({ kind: 'notifications', report: line }),
  });
  undo.push(() => notifier.close());
  const metrics = openMetrics({ clock, status, notifications: () => notifier.counts() });

  /** Everyone who wants to know hears of what happens to a rotation. */
  function report(record: RotationRecord): void {
    options.report?.(record);
    const notice = noticeOf(record);
    if (notice) notifier.notify(notice);
    metrics.record(record);
    traces.record(record);
    if (record.kind === 'ended') {
      metrics.ended(record.outcome);
      traces.ended(record.outcome, record.at);
    }
    if (record.kind === 'failed') {
      metrics.failed(record.rotation);
      traces.failed(record.rotation, record, record.at);
    }
  }

  const unexpected = (error: unknown): void => tell({ kind: 'unexpected', error });

  async function status() {
    const all = (await rotator?.operator.secrets()) ?? [];
    return {
      connectedInstances: rotator?.connectedInstances() ?? 0,
      secrets: all.map(({ secret, open: underWay }) => {
        const seen = watch?.seen(secret);
        const isOverlap = underWay?.version !== undefined && underWay.version === seen?.version;
        const drifted = drifts?.findings(secret);
        return {
          secret,
          ...(seen ? { publishedAt: seen.createdAt } : {}),
          ...(seen?.expiresAt === undefined ? {} : { expiresAt: seen.expiresAt }),
          ...(isOverlap ? { overlapOpenedAt: seen.createdAt } : {}),
          ...(drifted === undefined ? {} : { drifted }),
        };
      }),
    };
  }

  function startFacts(secret: string): WhenStartsFacts | undefined {
    const seen = watch?.seen(secret);
    const policy = policies.get(secret.toLowerCase());
    if (!seen || !policy) return undefined;
    const { version, createdAt, expiresAt } = seen;
    const hearsEvents = events !== undefined;
    return { policy, version, createdAt, expiresAt, hearsEvents, now: clock.now() };
  }

  function dueOf(secret: string): Due | undefined {
    const facts = startFacts(secret);
    return facts && whenStarts(facts);
  }

  /** What a rotation has open is its own business: it is looked at when it has ended. */
  function openDriftWatch({ operator, database }: Pick<Rotator, 'operator' | 'database'>): DriftWatch {
    const sources = new Map(options.secrets.map(({ policy, source }) => [policy.secret, source]));
    const openRotation = async (secret: string) => {
      const id = await operator.underWay(secret);
      return id === undefined ? undefined : { id, attended: true };
    };
    const journal = {
      openRotation,
      instances: (secret: string) => database.registry.instances(secret),
    };
    return watchDrift({
      secrets: names,
      everyMs: driftEveryMs,
      clock,
      async find(secret) {
        const source = sources.get(secret);
        if (!source || (await openRotation(secret))) return undefined;
        return findDrift({ secret, source, vault, journal });
      },
      changed({ secret, findings }) {
        tell({ kind: 'drift', secret, findings });
        const version = watch?.seen(secret)?.version ?? '';
        if (findings.length > 0)
          notifier.notify({
            kind: 'drifted',
            at: now(),
            secret,
            version,
            findings: findings.map(({ says }) => says),
          });
      },
      failed: (secret, error) => tell({ kind: 'drift unseen', secret, error }),
    });
  }

  /** An event is a reason to look: nothing but what the vault and the journal say decides. */
  async function handle(event: VaultEvent): Promise<void> {
    const policy = policies.get(event.secret.toLowerCase());
    if (!policy || !watch || !rotator)
      return tell({ kind: 'event', event, action: 'ignore', reason: `${event.secret} is not configured` });
    const { secret, validityMs } = policy;
    const seen = await watch.look(secret); // tells everyone if it is news
    const underWay = await rotator.operator.underWay(secret);
    const facts = startFacts(secret);
    const waits = facts && whyItWaits(facts);
    const { action, reason } = decide(event, {
      validityMs,
      current: seen.version,
      ...(seen.tags.rotation ? { publishedBy: seen.tags.rotation } : {}),
      ...(underWay ? { open: underWay } : {}),
      ...(waits === undefined ? {} : { waits }),
    });
    tell({ kind: 'event', event, action, reason });
    if (action === 'rotate')
      await rotator.operator.startFor(seen.version, { secret, by: { who: 'event', why: reason } });
    if (action === 'alarm')
      report({ kind: 'alarm', reason, rotation: rotationId(secret, seen.version), at: now() });
  }

  async function start(): Promise<Service> {
    // Whoever handles an event keeps a connection meanwhile: these are apart, so that nobody else waits for one.
    const pool = new Pool({
      ...reaching(options.journalUrl),
      max: atOnce + 2,
      application_name: 'keyturn events',
    });
    pool.on('error', () => undefined); // an idle connection that breaks is replaced at the next use
    undo.push(() => pool.end());
    const inbox = await openInbox(pool, { vault: vault.url, clock, random: Math.random, handleWithinMs });

    function eventRoutes(shown: WebhookAuth): Hono {
      async function accept(told: readonly VaultEvent[]): Promise<void> {
        const ours = told.filter((event) => event.vault === vault.url);
        await inbox.accept(ours);
        for (const _event of ours) metrics.eventAccepted();
      }
      return eventGridRoutes({ authorise: openWebhookAuth(shown, clock), accept, report: tell });
    }

    rotator = await openRotator({
      ...options,
      report,
      tookOver: (taken) => tell({ kind: 'taken over', ...taken }),
      watches: (secret) => watch?.isWatched(secret) ?? false,
      outlook(secret) {
        const seen = watch?.seen(secret);
        if (!seen) return {};
        const { version, createdAt, expiresAt } = seen;
        const due = dueOf(secret);
        const failure = schedule?.failure(secret);
        return {
          version,
          createdAt: iso(createdAt),
          ...(expiresAt === undefined ? {} : { expiresAt: iso(expiresAt) }),
          ...(due ? { dueAt: iso(due.at), dueBecause: due.because } : {}),
          ...(failure ? { failure: toShow(failure) } : {}),
        };
      },
      serve(fleet, { operator }) {
        const api = apiRoutes({ operations: operator, auth, fleet, unexpected });
        const app = new Hono<ApiEnvironment>();
        app.get('/metrics', requireRole(auth, 'viewer'), async (context) =>
          context.body(await metrics.text(), 200, { 'content-type': metrics.contentType }),
        );
        const ofEvents = events && eventRoutes(events);
        if (ofEvents) app.on(['POST', 'OPTIONS'], '/v1/events', (context) => ofEvents.fetch(context.req.raw));
        app.all('*', (context) => api.fetch(context.req.raw, context.env));
        return app as unknown as Hono; // who asks is known in there only
      },
    });
    const { url, operator, failed, database, connectedInstances } = rotator;
    undo.push(() => rotator?.close());
    watch = watchVault({
      vault,
      secrets: names,
      everyMs: watchEveryMs,
      announcements: database.announcements,
      spreadMs: () => spreadMs(connectedInstances()),
      clock,
      changed: () => undefined,
      failed: (secret, error) => tell({ kind: 'vault unseen', secret, error }),
    });
    const working = workInbox({
      inbox,
      handle,
      atOnce,
      pollMs: 1_000,
      keepMs: rememberEventsMs,
      report: tell,
    });
    undo.push(() => working.stop());
    undo.push(() => watch?.stop());
    schedule = openSchedule({
      clock,
      random: Math.random,
      secrets: names,
      due: dueOf,
      start: async (secret, why) => void (await operator.start({ secret, by: { who: 'schedule', why } })),
    });
    undo.push(() => schedule?.stop());
    drifts = openDriftWatch({ operator, database });
    undo.push(() => drifts?.stop());
    const { keepMs = 400 * dayMs } = options;
    const { prune } = rotator;
    undo.push(keepPruning({ keepMs, clock, random: Math.random, prune, failed: unexpected }));
    undo.push(operator.watch((record) => schedule?.record(record))); // whichever replica runs it
    for (const [secret, [newest]] of await database.history.latest())
      if (newest?.state === 'failed' && newest.failure) schedule.failed(secret, newest.failure);
    return { url, operator, failed, close };
  }

  try {
    return await start();
  } catch (error) {
    await close();
    throw error;
  }
}

const iso = (ms: number): string => new Date(ms).toISOString();

function toShow({ message, hint, nextAt }: Failure): NonNullable<Outlook['failure']> {
  return {
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(nextAt === Infinity ? {} : { nextAttemptAt: iso(nextAt) }),
  };
}
