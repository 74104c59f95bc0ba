import { randomUUID } from 'node:crypto';
import type { Hono } from 'hono';
import { systemClock, type Clock } from './clock.ts';
import type { RotationRecord } from './events.ts';
import type { Fleet } from './fleet/fleet.ts';
import { openDatabase, type Database } from './journal/database.ts';
import { openJournal } from './journal/journal.ts';
import type { JournalUrl } from './journal/journal-url.ts';
import type { TakenOver } from './journal/takeover.ts';
import { spreadMs } from './policy/spread.ts';
import type { Requested } from './policy/which-rotation.ts';
import type { Rotation } from './rotation.ts';
import { RotatorError } from './rotator-error.ts';
import { rotate } from './runbook.ts';
import { fleetRoutes } from './server/fleet-routes.ts';
import { listen } from './server/listen.ts';
import { openOperator, type ConfiguredSecret, type Operator, type Outlook } from './triggers/operator.ts';
import type { Vault } from './vault.ts';

export interface RotatorOptions {
  /** PostgreSQL URL of the journal. */
  readonly journalUrl: JournalUrl;
  /** Names this rotator among those that share a journal; `keyturn` if absent. */
  readonly executorId?: string;
  readonly vault: Vault;
  /** What can be rotated, and where each is issued. */
  readonly secrets: readonly ConfiguredSecret[];
  /** Where instances connect. `leaseMs`: how long one that fell silent counts as live. */
  readonly fleet: {
    readonly host: string;
    readonly port: number;
    readonly leaseMs?: number;
    readonly heartbeatMs?: number;
  };
  readonly report?: (record: RotationRecord) => void;
  readonly tookOver?: (taken: TakenOver) => void;
  /** Hears how many rotators live on this vault and journal, this one included: at first, and when that changes. */
  readonly counted?: (live: number) => void;
  readonly clock?: Clock;
  /** Is every new version of a secret announced, whoever publishes it? Then instances poll less. Default: no. */
  readonly watches?: (secret: string) => boolean;
  /** What is known of a secret besides its rotations. */
  readonly outlook?: (secret: string) => Outlook;
  /** What is served at the address besides the instances' routes, which it has to contain. */
  readonly serve?: (fleet: Hono, rotator: Pick<Rotator, 'operator' | 'database'>) => Hono;
}

export interface Rotator {
  /** Where instances connect. */
  readonly url: string;
  /** Starts rotations, or joins or resumes the one of a secret that is open, and says something to those. */
  readonly operator: Operator;
  readonly database: Database;
  /** Drops rotations that ended before a moment (ISO 8601), so many at most; returns how many it dropped. */
  prune(endedBefore: string, limit: number): Promise<number>;
  /** How many instances listen to this rotator. */
  connectedInstances(): number;
  /** Rejects once this rotator has lost its lock: it does nothing any more. */
  readonly failed: Promise<never>;
  /** Stops; open rotations are resumed by the next rotator on the same journal. */
  close(): Promise<void>;
}

/**
 * Opens a rotator: the journal, the fleet's address and the runbook behind them.
 *
 * @example
 * const rotator = await openRotator({ journalUrl, vault, secrets: [{ policy, source }], fleet: { host: '127.0.0.1', port: 7420 } });
 * const outcome = await rotator.operator.rotate({ secret: 'orders-db' });
 */
export async function openRotator(options: RotatorOptions): Promise<Rotator> {
  const {
    journalUrl,
    executorId = 'keyturn',
    vault,
    fleet,
    clock = systemClock,
    tookOver,
    counted,
  } = options;
  const {
    report = () => undefined,
    watches = () => false,
    outlook = () => ({}),
    serve = (app: Hono) => app,
  } = options;
  const { leaseMs = 30_000, heartbeatMs = 15_000 } = fleet;
  const secrets = new Map(options.secrets.map((one) => [one.policy.secret, one]));
  const incarnation = randomUUID();
  const undo: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };

  async function start(): Promise<Rotator> {
    const database = await openDatabase({ url: journalUrl, vault: vault.url, leaseMs, clock });
    undo.push(() => database.close());
    const { announcements, registry, history, changes } = database;
    let said = 0;
    let connected = 0;
    changes.on('order', () => (said += 1));

    const record = (one: RotationRecord): void => {
      history.record(one);
      report(one);
    };
    const members: Fleet = {
      settledAt: registry.settledAt,
      async announce({ secret, version, spreadMs: atLeastMs }) {
        const { length } = await registry.instances(secret);
        await announcements.announce({ secret, version, spreadMs: Math.max(atLeastMs, spreadMs(length)) });
      },
      instances: (secret) => registry.instances(secret),
    };
    const about = (requested: Requested): Rotation => {
      const { policy, source } = configured(requested.secret);
      return {
        ...requested,
        policy,
        source,
        vault,
        clock,
        incarnation,
        fleet: members,
        attention: () => said,
        others: async () =>
          (await journal.unfinished(requested.secret))
            .map(({ id }) => id)
            .filter((id) => id !== requested.id),
        report: (event) =>
          record({ ...event, rotation: requested.id, at: new Date(clock.now()).toISOString() }),
      };
    };
    const journal = await openJournal({
      url: journalUrl,
      vault: vault.url,
      executorId,
      runbook: rotate,
      rotation: about,
      ...(tookOver ? { tookOver } : {}),
      ...(counted ? { counted } : {}),
    });
    undo.push(() => journal.close());
    const names = [...secrets.keys()];
    const operator = openOperator({
      vault,
      names,
      configured,
      journal,
      database,
      clock,
      record,
      outlook,
    });

    const instances = fleetRoutes({
      announcements,
      registry,
      heartbeatMs,
      secretsOf,
      watches,
      connected: (change) => (connected += change),
    });
    const listening = await listen(serve(instances, { operator, database }), fleet);
    undo.push(() => listening.close());
    return {
      url: listening.url,
      operator,
      database,
      failed: journal.lost,
      async prune(endedBefore, limit) {
        const ids = await database.history.endedBefore(endedBefore, limit);
        for (const id of ids) await journal.forget(id);
        await database.history.forget(ids);
        return ids.length;
      },
      connectedInstances: () => connected,
      close,
    };
  }

  function configured(secret: string): ConfiguredSecret {
    const found = secrets.get(secret);
    if (found) return found;
    const names = [...secrets.keys()];
    throw new RotatorError('UNKNOWN_SECRET', `The secret ${secret} is not configured.`, {
      hint: `Configured: ${names.slice(0, 20).join(', ') || 'none'}${names.length > 20 ? ', …' : ''}.`,
    });
  }

  /** Whom nobody expects may use any of them. */
  function secretsOf(consumer: string | undefined): readonly string[] {
    const all = [...secrets.values()].map(({ policy }) => policy);
    const theirs = all.filter(({ consumers }) => consumers.some(({ name }) => name === consumer));
    return (theirs.length > 0 ? theirs : all).map(({ secret }) => secret);
  }

  try {
    return await start();
  } catch (error) {
    await close();
    throw error;
  }
}
