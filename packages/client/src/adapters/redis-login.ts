import type { Secret } from '../secret.ts';
import { fields, given, integer, unescaped } from './login-fields.ts';
import { SecretsError } from '../secrets-error.ts';

/** What a value says of a login to Redis. What it leaves out comes from the driver's options. */
export interface RedisLogin {
  readonly username: string | undefined;
  readonly password: string;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly tls: boolean | undefined;
  readonly database: number | undefined;
}

/**
 * Reads a value: the password alone, a URL (`redis://user:password@host:6379/database`, `rediss://` with TLS), or
 * JSON with `password` and, if they are there, `username` (or `user`), `host`, `port`, `database` (or `db`).
 */
export function redisLogin(secret: Secret): RedisLogin {
  const text = secret.reveal().trim();
  const login = /^rediss?:\/\//.test(text) ? ofUrl(text) : text.startsWith('{') ? ofJson(text) : plain(text);
  if (login) return login;
  throw new SecretsError(
    'VALUE_FORMAT',
    `The value of ${secret.toString()} is no Redis login. Store the password, redis://user:password@host:6379, or JSON with username and password.`,
  );
}

function plain(password: string): RedisLogin {
  const nothing = { username: undefined, host: undefined, port: undefined };
  return { ...nothing, password, tls: undefined, database: undefined };
}

function ofUrl(text: string): RedisLogin | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, username, password, hostname, port, pathname } = new URL(text);
  const database = pathname.slice(1);
  const secret = given(unescaped(password));
  if (secret === undefined || !/^\d*$/.test(database)) return undefined;
  return {
    username: given(unescaped(username)),
    password: secret,
    host: given(hostname.replace(/^\[|\]$/g, '')),
    port: port === '' ? undefined : Number(port),
    tls: protocol === 'rediss:',
    database: database === '' ? undefined : Number(database),
  };
}

function ofJson(text: string): RedisLogin | undefined {
  const { username, user, password, host, port, database, db } = fields(text);
  const secret = given(password);
  if (secret === undefined) return undefined;
  return {
    username: given(username) ?? given(user),
    password: secret,
    host: given(host),
    port: integer(port),
    tls: undefined,
    database: integer(database ?? db),
  };
}
