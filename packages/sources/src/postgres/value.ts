import { SecretValue, SourceError } from '@keyturn/source';
import type { ConnectionTemplate } from './options.ts';

/** A login, written out as an application reads it from the vault. */
export function writeValue(at: {
  template: ConnectionTemplate;
  format: 'url' | 'json';
  user: string;
  password: string;
}): SecretValue {
  const { template, format, user, password } = at;
  const { host, port, database, parameters = {} } = template;
  if (format === 'json')
    return new SecretValue(JSON.stringify({ host, port, database, user, password, ...parameters }));
  return new SecretValue(toUrl({ host, port, database, user, password, parameters }).href);
}

/**
 * Reads a value of either form, whichever the configuration names: the version that is replaced may have been
 * written by hand. What the runtime says of a text that it can't read may quote that text, so it is dropped.
 */
export function readValue(value: SecretValue): URL {
  const url = parse(value.reveal());
  // Without a login in the value the driver would take one from its environment, and prove that instead.
  if (url && url.username !== '' && url.password !== '') return url;
  throw new SourceError('MISCONFIGURED', 'The value is no PostgreSQL login that Keyturn can read.', {
    hint: 'Write it as postgres://user:password@host:port/database (percent-encoded) or as JSON with host, port, database, user and password.',
  });
}

function parse(text: string): URL | undefined {
  try {
    const url = text.trimStart().startsWith('{') ? fromJson(text) : new URL(text);
    return ['postgres:', 'postgresql:'].includes(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}

function fromJson(text: string): URL {
  const { host, port, database, user, password, ...parameters } = JSON.parse(text) as Login;
  return toUrl({ host, port, database, user, password, parameters });
}

interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

function toUrl(login: Login & { readonly parameters: Readonly<Record<string, unknown>> }): URL {
  const { host, port, database, user, password, parameters } = login;
  const address = host.includes(':') ? `[${host}]` : host;
  const url = new URL(`postgres://${address}:${port}/${encodeURIComponent(database)}`);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  for (const [key, parameter] of Object.entries(parameters)) url.searchParams.set(key, String(parameter));
  return url;
}
