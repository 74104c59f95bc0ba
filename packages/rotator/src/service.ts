import { Pool } from 'pg';
import { systemClock } from './clock.ts';
import type { RotationRecord } from './events.ts';
import { rotationId } from './rotation.ts';
import { openRotator, type Rotator, type RotatorOptions } from './rotator.ts';
import type { Auth } from './server/api-auth.ts';
import { apiRoutes } from './server/api-routes.ts';
import { eventGridRoutes, type DeliveryReport } from './triggers/event-grid-routes.ts';
import { openInbox } from './triggers/inbox.ts';
import { decide } from './triggers/on-vault-event.ts';
import type { VaultEvent } from './triggers/vault-event.ts';
import { watchVault, type VaultWatch } from './triggers/vault-watch.ts';
import { openWebhookAuth, type WebhookAuth } from './triggers/webhook-auth.ts';
import { workInbox, type InboxReport } from './triggers/work-inbox.ts';

/** What a service tells besides its rotations, for logs. */
export type ServiceReport =
  | DeliveryReport
  | InboxReport
  | { readonly kind: 'event'; readonly event: VaultEvent; readonly action: string; readonly reason: string }
  | { readonly kind: 'vault unseen'; readonly secret: string; readonly error: unknown }
  | { readonly kind: 'unexpected'; readonly error: unknown };

export interface ServiceOptions extends Omit<RotatorOptions, 'serve' | 'outlook' | 'watches'> {
  /** Who may ask what. */
  readonly auth: Auth;
  /** How Event Grid shows that it is the sender; without it no events are taken. */
  readonly events?: WebhookAuth;
  /** How often each secret is looked at in the vault, milliseconds. */
  readonly watchEveryMs: number;
  readonly tell: (report: ServiceReport) => void;
}

/** A rotator that runs for years: triggers in, rotations out, an API for people and programs. */
export interface Service extends Pick<Rotator, 'url' | 'operator' | 'failed'> {
  /** Takes nothing new, lets what changes things finish, and stops; open rotations are resumed by the next one. */
  close(): Promise<void>;
}

const atOnce = 4;
const handleWithinMs = 60_000;
const rememberEventsMs = 7 * 86_400_000;

/** Opens a service. It resolves when it listens; what fails for a passing reason afterwards is told and tried again. */
export async function openService(options: ServiceOptions): Promise<Service> {
  const { vault, auth, events, watchEveryMs, tell, clock = systemClock, report = () => undefined } = options;
  let watch: VaultWatch | undefined;
  const undo: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };

  async function start(): Promise<Service> {
    // Whoever handles an event keeps a connection meanwhile: these are apart, so that nobody else waits for one.
    const pool = new Pool({
      connectionString: options.journalUrl,
      max: atOnce + 2,
      application_name: 'keyturn events',
    });
    pool.on('error', () => undefined); // an idle connection that breaks is replaced at the next use
    undo.push(() => pool.end());
    const inbox = await openInbox(pool, { vault: vault.url, clock, random: Math.random, handleWithinMs });

    const rotator = await openRotator({
      ...options,
      watches: (secret) => watch?.isWatched(secret) ?? false,
      outlook(secret) {
        const seen = watch?.seen(secret);
        return seen ? { version: seen.version, createdAt: new Date(seen.createdAt).toISOString() } : {};
      },
      serve(fleet, { operator }) {
        const unexpected = (error: unknown): void => tell({ kind: 'unexpected', error });
        const api = apiRoutes({ operations: operator, auth, fleet, unexpected });
        if (!events) return api;
        const accept = (told: readonly VaultEvent[]) =>
          inbox.accept(told.filter((event) => event.vault === vault.url));
        const app = eventGridRoutes({ authorise: openWebhookAuth(events, clock), accept, report: tell });
        app.all('*', (context) => api.fetch(context.req.raw, context.env));
        return app;
      },
    });
    undo.push(() => rotator.close());
    const { operator, database } = rotator;
    const names = options.secrets.map(({ policy }) => policy.secret);
    const policies = new Map(options.secrets.map(({ policy }) => [policy.secret.toLowerCase(), policy]));

    const watching = watchVault({
      vault,
      secrets: names,
      everyMs: watchEveryMs,
      announcements: database.announcements,
      spreadMs: () => 0,
      clock,
      changed: () => undefined,
      failed: (secret, error) => tell({ kind: 'vault unseen', secret, error }),
    });
    watch = watching;

    /** An event is a reason to look: nothing but what the vault and the journal say decides. */
    async function handle(event: VaultEvent): Promise<void> {
      const policy = policies.get(event.secret.toLowerCase());
      if (!policy)
        return tell({ kind: 'event', event, action: 'ignore', reason: `${event.secret} is not configured` });
      const { secret, validityMs } = policy;
      const seen = await watching.look(secret); // tells everyone if it is news
      const open = await operator.underWay(secret);
      const { action, reason } = decide(event, {
        validityMs,
        current: seen.version,
        ...(seen.tags.rotation ? { publishedBy: seen.tags.rotation } : {}),
        ...(open ? { open } : {}),
      });
      tell({ kind: 'event', event, action, reason });
      if (action === 'rotate') await operator.start({ secret, by: { who: 'event', why: reason } });
      if (action === 'alarm') report(alarm(secret, seen.version, reason));
    }

    const alarm = (secret: string, version: string, reason: string): RotationRecord => ({
      kind: 'alarm',
      reason,
      rotation: rotationId(secret, version),
      at: new Date(clock.now()).toISOString(),
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
    undo.push(async () => watching.stop());
    const { url, failed } = rotator;
    return { url, operator, failed, close };
  }

  try {
    return await start();
  } catch (error) {
    await close();
    throw error;
  }
}
