import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { databaseError } from '../journal/database-error.ts';
import { gather } from '../journal/gather.ts';
import { makeTables } from '../journal/tables.ts';
import { RotatorError } from '../rotator-error.ts';
import type { Instance } from './fleet.ts';
import type { AdoptionReport } from './report.ts';

/** Remembers what instances reported, across restarts of the rotator and for every replica of it. */
export interface Registry {
  /** When what it says of the instances is complete, milliseconds since 1970: see `Fleet`. */
  readonly settledAt: number;
  record(report: AdoptionReport): Promise<void>;
  /** The instances that use a secret and are live. */
  instances(secret: string): Promise<readonly Instance[]>;
}

const tables = `
  create table if not exists keyturn.adoption (
    vault text not null,
    secret text not null,
    consumer text not null,
    instance text not null,
    state jsonb not null,
    reported_at bigint not null,
    primary key (vault, secret, consumer, instance)
  );`;

/** What is kept of one secret in a report. */
interface Kept {
  readonly secret: string;
  readonly consumer: string;
  readonly instance: string;
  readonly state: object;
}

interface Row {
  readonly consumer: string;
  readonly instance: string;
  readonly state: Omit<Instance, 'consumer' | 'instance'>;
}

/**
 * A registry in PostgreSQL, which throws `JOURNAL` where that fails. An instance is live until it says goodbye or
 * has been silent for `leaseMs`; while the rotator was down nobody could report, so silence counts from its start
 * at the earliest.
 */
export async function openRegistry(
  pool: pg.Pool,
  options: { vault: string; leaseMs: number; clock: Clock },
): Promise<Registry> {
  const { vault, leaseMs, clock } = options;

  async function query(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      return (await pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      throw databaseError(error);
    }
  }

  /** Those that come while others are being written are written together, the last one of an instance. */
  const keep = gather<Kept>({
    async write(reports) {
      const last = new Map(
        reports.map((one) => [JSON.stringify([one.secret, one.consumer, one.instance]), one]),
      );
      const column = (of: (one: Kept) => string) => [...last.values()].map(of);
      await query(
        `insert into keyturn.adoption (vault, secret, consumer, instance, state, reported_at)
         select $1, secret, consumer, instance, state::jsonb, $2
         from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as told (secret, consumer, instance, state)
         order by secret, consumer, instance
         on conflict (vault, secret, consumer, instance)
         do update set state = excluded.state, reported_at = excluded.reported_at`,
        [
          vault,
          clock.now(),
          column(({ secret }) => secret),
          column(({ consumer }) => consumer),
          column(({ instance }) => instance),
          column(({ state }) => JSON.stringify(state)),
        ],
      );
    },
    mostAtOnce: 1_000,
    mostWaiting: 50_000,
    full: () =>
      new RotatorError('JOURNAL', 'More than 50,000 reports of adoption wait to be written.', {
        hint: 'See why the database is slow. Instances report again.',
      }),
  });

  await makeTables(pool, tables);
  const startedAt = clock.now();

  return {
    settledAt: startedAt + 2 * leaseMs, // a lease is longer than the pause between two reports
    async record({ consumer, instance, secrets, leaving }) {
      if (leaving) {
        await query('delete from keyturn.adoption where vault = $1 and consumer = $2 and instance = $3', [
          vault,
          consumer,
          instance,
        ]);
        return;
      }
      await keep(secrets.map(({ secret, ...state }) => ({ secret, consumer, instance, state })));
    },
    async instances(secret) {
      const silentSince = clock.now() - leaseMs;
      if (startedAt < silentSince) {
        await query('delete from keyturn.adoption where vault = $1 and secret = $2 and reported_at < $3', [
          vault,
          secret,
          silentSince,
        ]);
      }
      const rows = await query(
        `select consumer, instance, state from keyturn.adoption
         where vault = $1 and secret = $2 order by consumer, instance`,
        [vault, secret],
      );
      return rows.map(({ consumer, instance, state }) => ({ consumer, instance, ...state }));
    },
  };
}
