import type { Secret } from '../secret.ts';

/** What a value says of a login. What it leaves out comes from the driver's configuration. */
export interface LoginFields {
  readonly user: string;
  readonly password: string;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly database: string | undefined;
}

/** Reads a URL of one of the schemes or JSON; undefined if it is neither, or says no user or no password. */
export function loginFields(secret: Secret, schemes: RegExp): LoginFields | undefined {
  const text = secret.reveal().trim();
  const { user, password, host, port, database } = schemes.test(text) ? ofUrl(text) : ofJson(text);
  if (user === undefined || password === undefined) return undefined;
  return { user, password, host, port, database };
}

type Found = { readonly [Field in keyof LoginFields]?: LoginFields[Field] | undefined };

function ofUrl(text: string): Found {
  if (!URL.canParse(text)) return {};
  const { username, password, hostname, port, pathname } = new URL(text);
  return {
    user: given(unescaped(username)),
    password: given(unescaped(password)),
    host: given(hostname.replace(/^\[|\]$/g, '')),
    port: port === '' ? undefined : Number(port),
    database: given(unescaped(pathname.slice(1))),
  };
}

function ofJson(text: string): Found {
  const { user, username, password, host, port, database, dbname } = fields(text);
  return {
    user: given(user) ?? given(username),
    password: given(password),
    host: given(host),
    port: integer(port),
    database: given(database) ?? given(dbname),
  };
}

/** What is in a JSON object; nothing if it is none. */
export function fields(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {}; // the parser's own message would quote the value
  }
}

/** A part of a URL as it is meant; undefined where a bare % stands in it. */
export function unescaped(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** Text that says something. */
export function given(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function integer(value: unknown): number | undefined {
  const number = Number(value ?? Number.NaN);
  return Number.isInteger(number) ? number : undefined;
}
