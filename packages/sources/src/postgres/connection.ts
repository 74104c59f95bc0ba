import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceError } from '@keyturn/source';
import { Client, type ClientConfig } from 'pg';
import { toSourceError } from './errors.ts';
import type { PostgresOptions } from './options.ts';

/** An open connection. */
export type Connection = Client;

export interface TimeLimits {
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

export function timeLimits({
  connectTimeoutMs = 5_000,
  statementTimeoutMs = 10_000,
}: PostgresOptions): TimeLimits {
  return { connectTimeoutMs, statementTimeoutMs };
}

/**
 * Opens a connection for one action and ends it whatever happens. The time-outs are the driver's, not startup
 * parameters, which a connection pooler in between would refuse.
 */
export async function withConnection<T>(
  config: ClientConfig,
  limits: TimeLimits,
  action: (connection: Connection) => Promise<T>,
): Promise<T> {
  const socket = new Socket();
  try {
    const client = new Client({
      ...config,
      connectionTimeoutMillis: limits.connectTimeoutMs,
      query_timeout: limits.statementTimeoutMs,
      stream: () => socket,
    });
    // Beside a connection string the driver ignores a password; here the one that is given wins.
    if (config.password !== undefined) Object.assign(client, { password: config.password });
    // A connection that breaks between two statements would otherwise end the process; the next one reports it.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await action(client);
    } finally {
      // A server that hangs never answers the goodbye.
      await Promise.race([client.end(), sleep(limits.connectTimeoutMs, undefined, { ref: false })]);
    }
  } finally {
    socket.destroy();
  }
}

/** Does something as the rotator role. */
export async function asRotator<T>(
  options: PostgresOptions,
  action: (connection: Connection) => Promise<T>,
): Promise<T> {
  const login = await options.admin();
  const limits = timeLimits(options);
  try {
    return await withConnection({ ...login, application_name: 'keyturn' }, limits, async (connection) => {
      await prepare(connection, limits, options);
      return action(connection);
    });
  } catch (error) {
    throw toSourceError(error, { loginOf: 'rotator', secrets: secretsOf(login) });
  }
}

/** All or nothing. */
export async function transaction<T>(connection: Connection, action: () => Promise<T>): Promise<T> {
  await connection.query('begin');
  const result = await action(); // after a failure the connection is closed, which rolls back
  await connection.query('commit');
  return result;
}

/**
 * A database that applications write to may hold functions that look like the system's: they must not be run
 * with the rotator's rights.
 */
async function prepare(
  connection: Connection,
  { statementTimeoutMs }: TimeLimits,
  { roles }: PostgresOptions,
): Promise<void> {
  const { rows } = await connection.query<{ version: number; rotator: string }>(
    `select pg_catalog.set_config('search_path', 'pg_catalog', false),
       pg_catalog.set_config('statement_timeout', $1, false), session_user::pg_catalog.text as rotator,
       pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version`,
    [String(statementTimeoutMs)],
  );
  const [{ version, rotator } = { version: 0, rotator: '' }] = rows;
  if (roles.includes(rotator)) {
    throw new SourceError('MISCONFIGURED', `Keyturn logs in as ${rotator}, which it is to rotate.`, {
      hint: 'Give Keyturn a role of its own: see setupStatements().',
    });
  }
  const major = Math.floor(version / 10_000);
  if (major >= 16) return;
  throw new SourceError('MISCONFIGURED', `The server is PostgreSQL ${major}; Keyturn needs 16 or newer.`, {
    hint: 'Upgrade the server: before 16 a role that may create roles may alter every one of them.',
  });
}

function secretsOf({ password, connectionString }: ClientConfig): string[] {
  const texts = [password, connectionString].filter((text) => typeof text === 'string' && text !== '');
  return texts as string[];
}
