import type pg from 'pg';
import type { Clock } from '../clock.ts';
import type { Instance } from './fleet.ts';
import type { AdoptionReport } from './report.ts';

/** Remembers what instances reported, across restarts of the rotator and for every replica of it. */
export interface Registry {
  record(report: AdoptionReport): Promise<void>;
  /** The instances that use a secret and are live. */
  instances(secret: string): Promise<readonly Instance[]>;
}

const schema = `
  create schema if not exists keyturn;
  create table if not exists keyturn.instances (
    consumer text not null,
    instance text not null,
    secret text not null,
    state jsonb not null,
    reported_at bigint not null,
    primary key (secret, consumer, instance)
  );`;

/**
 * A registry in PostgreSQL. An instance is live until it says goodbye or has been silent for `leaseMs`; while
 * the rotator was down nobody could report, so silence counts from its start at the earliest.
 */
export async function openRegistry(
  pool: pg.Pool,
  options: { leaseMs: number; clock: Clock },
): Promise<Registry> {
  const { leaseMs, clock } = options;
  await pool.query(schema);
  const startedAt = clock.now();

  return {
    async record({ consumer, instance, secrets, leaving }) {
      if (leaving) {
        await pool.query('delete from keyturn.instances where consumer = $1 and instance = $2', [
          consumer,
          instance,
        ]);
        return;
      }
      for (const { secret, ...state } of secrets) {
        await pool.query(
          `insert into keyturn.instances values ($1, $2, $3, $4, $5)
           on conflict (secret, consumer, instance) do update set state = excluded.state, reported_at = excluded.reported_at`,
          [consumer, instance, secret, JSON.stringify(state), clock.now()],
        );
      }
    },
    async instances(secret) {
      const silentSince = clock.now() - leaseMs;
      const oldest = startedAt >= silentSince ? 0 : silentSince;
      const { rows } = await pool.query<{
        consumer: string;
        instance: string;
        state: Omit<Instance, 'consumer' | 'instance'>;
      }>(
        `select consumer, instance, state from keyturn.instances
         where secret = $1 and reported_at >= $2 order by consumer, instance`,
        [secret, oldest],
      );
      return rows.map(({ consumer, instance, state }) => ({ consumer, instance, ...state }));
    },
  };
}
