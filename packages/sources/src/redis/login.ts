import { SecretValue, SourceError } from '@keyturn/source';
import type { RedisOptions } from './options.ts';

/** Everything that a connection needs. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly username: string;
  readonly password: string;
}

/** A login, written out as an application reads it from the vault. */
export function writeValue(
  { template, format, user }: Pick<RedisOptions, 'template' | 'format' | 'user'>,
  password: string,
): SecretValue {
  const { host, port, tls = false, database } = template;
  if (format === 'password') return new SecretValue(password);
  if (format === 'json') {
    const more = database === undefined ? {} : { database };
    return new SecretValue(JSON.stringify({ host, port, username: user, password, ...more }));
  }
  const address = host.includes(':') ? `[${host}]` : host;
  const url = new URL(`${tls ? 'rediss' : 'redis'}://${address}:${port}`);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  url.pathname = database === undefined ? '' : `/${database}`;
  return new SecretValue(url.href);
}

/**
 * Reads a value in any of the three forms, as the client does: the version that is replaced may have been written by
 * hand. What it leaves out comes from the configuration.
 */
export function readValue({ template, user }: RedisOptions, value: SecretValue): Login {
  const { host, port, tls = false } = template;
  const configured = { host, port, tls, username: user };
  const text = value.reveal().trim();
  const login = /^rediss?:\/\//.test(text)
    ? readUrl(text, user)
    : text.startsWith('{')
      ? readJson(text, configured)
      : { ...configured, password: text };
  if (login && login.password !== '') return login;
  throw new SourceError('MISCONFIGURED', 'The value is no Redis login that Keyturn can read.', {
    hint: 'Write the password, redis://user:password@host:port (percent-encoded), or JSON with username and password.',
  });
}

/** What the runtime says of a text that it can't read may quote that text, so it is dropped. */
export function readUrl(text: string, user = 'default'): Login | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port, username, password } = new URL(text);
  if (protocol !== 'redis:' && protocol !== 'rediss:') return undefined;
  try {
    const secret = decodeURIComponent(password);
    if (secret === '' || hostname === '') return undefined;
    return {
      host: hostname.replaceAll(/^\[|\]$/g, ''),
      port: port === '' ? 6379 : Number(port),
      tls: protocol === 'rediss:',
      username: username === '' ? user : decodeURIComponent(username),
      password: secret,
    };
  } catch {
    return undefined; // a bare %
  }
}

function readJson(text: string, configured: Omit<Login, 'password'>): Login | undefined {
  try {
    const { host, port, username, user, password } = JSON.parse(text) as Record<string, unknown>;
    if (typeof password !== 'string') return undefined;
    return {
      ...configured,
      password,
      host: given(host) ?? configured.host,
      port: Number(port ?? configured.port),
      username: given(username) ?? given(user) ?? configured.username,
    };
  } catch {
    return undefined;
  }
}

function given(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
