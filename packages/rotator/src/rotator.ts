import { randomUUID } from 'node:crypto';
import type { RotationId, Source } from '@keyturn/source';
import { Pool } from 'pg';
import { systemClock, type Clock } from './clock.ts';
import type { RotationEvent, RotationRecord } from './events.ts';
import { openAnnouncements } from './fleet/announcements.ts';
import type { Fleet } from './fleet/fleet.ts';
import { openRegistry } from './fleet/registry.ts';
import { openChanges } from './journal/changes.ts';
import { openJournal } from './journal/journal.ts';
import type { GivenOrder } from './order.ts';
import type { SecretPolicy } from './policy/secret-policy.ts';
import { whichRotation, type Requested } from './policy/which-rotation.ts';
import { RotatorError } from './rotator-error.ts';
import type { Outcome, Rotation } from './rotation.ts';
import { rotate } from './runbook.ts';
import { fleetRoutes } from './server/fleet-routes.ts';
import { listen } from './server/listen.ts';
import type { Vault } from './vault.ts';

export interface RotatorOptions {
  /** PostgreSQL URL of the journal. */
  readonly journalUrl: string;
  /** Names this rotator among those that share a journal; `keyturn` if absent. */
  readonly executorId?: string;
  readonly vault: Vault;
  /** What can be rotated, and where each is issued. */
  readonly secrets: readonly { readonly policy: SecretPolicy; readonly source: Source }[];
  /** Where instances connect. `leaseMs`: how long one that fell silent counts as live. */
  readonly fleet: {
    readonly host: string;
    readonly port: number;
    readonly leaseMs?: number;
    readonly heartbeatMs?: number;
  };
  readonly report?: (record: RotationRecord) => void;
  readonly clock?: Clock;
}

export interface Rotator {
  /** Where instances connect. */
  readonly url: string;
  /** Rotates a secret, or joins or resumes the rotation of it that is open; resolves when it has closed. */
  rotate(secret: string): Promise<Outcome>;
  /** Says something to an open rotation. */
  tell(id: RotationId, order: GivenOrder): Promise<void>;
  /** Stops; open rotations are resumed by the next rotator on the same journal. */
  close(): Promise<void>;
}

/**
 * Opens a rotator: the journal, the fleet's address and the runbook behind them.
 *
 * @example
 * const rotator = await openRotator({ journalUrl, vault, secrets: [{ policy, source }], fleet: { host: '127.0.0.1', port: 7420 } });
 * const outcome = await rotator.rotate('orders-db');
 */
export async function openRotator(options: RotatorOptions): Promise<Rotator> {
  const {
    journalUrl,
    executorId = 'keyturn',
    vault,
    fleet,
    clock = systemClock,
    report = () => undefined,
  } = options;
  const { leaseMs = 30_000, heartbeatMs = 15_000 } = fleet;
  const configured = new Map(options.secrets.map((one) => [one.policy.secret, one]));
  const incarnation = randomUUID();
  const pool = new Pool({ connectionString: journalUrl, max: 4, application_name: 'keyturn fleet' });
  pool.on('error', () => undefined); // an idle connection that breaks is replaced at the next use
  const changes = openChanges(journalUrl);
  const closeDatabase = async (): Promise<void> => {
    await changes.close();
    await pool.end();
  };
  const [announcements, registry] = await Promise.all([
    openAnnouncements(pool, { vault: vault.url, changes }),
    openRegistry(pool, { vault: vault.url, leaseMs, clock }),
  ]).catch(async (error: unknown) => {
    await closeDatabase();
    throw error;
  });

  function about(request: Requested): Rotation {
    const { policy, source } = known(request.secret);
    const record = (event: RotationEvent) =>
      report({ ...event, rotation: request.id, at: new Date(clock.now()).toISOString() });
    const members: Fleet = {
      settledAt: registry.settledAt,
      announce: (announcement) => announcements.announce(announcement),
      instances: (secret) => registry.instances(secret),
    };
    return { ...request, policy, source, vault, clock, incarnation, report: record, fleet: members };
  }

  /** Whom nobody expects may use any of them. */
  function secretsOf(consumer: string | undefined): readonly string[] {
    const uses = ({ policy }: { readonly policy: SecretPolicy }) =>
      policy.consumers.some(({ name }) => name === consumer);
    const theirs = options.secrets.filter(uses);
    return (theirs.length > 0 ? theirs : options.secrets).map(({ policy }) => policy.secret);
  }

  function known(secret: string): { readonly policy: SecretPolicy; readonly source: Source } {
    const found = configured.get(secret);
    if (found) return found;
    throw new RotatorError('UNKNOWN_SECRET', `The secret ${secret} is not configured.`, {
      hint: `Configured: ${[...configured.keys()].join(', ') || 'none'}.`,
    });
  }

  const listening = await listen(
    fleetRoutes({ announcements, registry, heartbeatMs, secretsOf, watches: () => false }),
    fleet,
  ).catch(async (error: unknown) => {
    await closeDatabase();
    throw error;
  });
  const journal = await openJournal({
    url: journalUrl,
    vault: vault.url,
    executorId,
    runbook: rotate,
    rotation: about,
  }).catch(async (error: unknown) => {
    await listening.close();
    await closeDatabase();
    throw error;
  });

  return {
    url: listening.url,
    async rotate(secret) {
      known(secret);
      const unfinished = await journal.unfinished(secret);
      if (unfinished) return journal.run(unfinished);
      const current = await vault.current(secret);
      const versions = await vault.versions(secret);
      return journal.run(whichRotation({ vault: vault.url, secret, current, versions }));
    },
    tell: (id, order) => journal.tell(id, order),
    async close() {
      await journal.close();
      await listening.close();
      await closeDatabase();
    },
  };
}
