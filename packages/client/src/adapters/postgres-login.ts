import type { PoolConfig } from 'pg';
import type { Secret } from '../secret.ts';
import { fields, given, integer } from './login-fields.ts';
import { SecretsError } from '../secrets-error.ts';

/**
 * Reads the login out of a value: a URL (`postgres://user:password@host:5432/database`) or JSON with `user` or
 * `username`, `password` and, where the pool's configuration does not say them, `host`, `port`, `database`; other
 * fields are connection parameters, as behind the `?` of a URL.
 */
export function postgresLogin(secret: Secret): PoolConfig {
  const text = secret.reveal().trim();
  if (/^postgres(ql)?:\/\//.test(text)) return { connectionString: text };
  const { user, username, password, host, port, database, ...parameters } = fields(text);
  const login = { user: given(user) ?? given(username), password: given(password) };
  if (login.user === undefined || login.password === undefined) throw formatError(secret);
  const place = { host: given(host), port: integer(port), database: given(database) };
  const config = {
    ...login,
    ...Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined)),
    ...parameters,
  };
  // `sslmode` and its like have a meaning in a URL only.
  return place.host === undefined || Object.keys(parameters).length === 0
    ? config
    : { connectionString: urlOf({ ...place, ...login, parameters }, secret) };
}

function urlOf(at: Parameters<typeof toUrl>[0], secret: Secret): string {
  try {
    return toUrl(at).href;
  } catch {
    throw formatError(secret); // what the parser says quotes what it was given
  }
}

function toUrl(at: {
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly database: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
}): URL {
  const { host = '', port = 5432, database = '', user = '', password = '', parameters } = at;
  const address = host.includes(':') ? `[${host}]` : host;
  const url = new URL(`postgres://${address}:${port}/${encodeURIComponent(database)}`);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, String(value));
  return url;
}

export function formatError(secret: Secret): SecretsError {
  return new SecretsError(
    'VALUE_FORMAT',
    `The value of ${secret.toString()} is no PostgreSQL login. Store postgres://user:password@host:5432/database, or JSON with host, port, database, username and password.`,
  );
}
