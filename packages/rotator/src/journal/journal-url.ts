import type { ClientConfig } from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';

/** A URL without a password, and what gives one for each connection that is opened. */
export interface PasswordlessUrl {
  readonly url: string;
  readonly password: () => Promise<string>;
}

/** How the journal's database is reached: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. */
export type JournalUrl = string | PasswordlessUrl;

/** What the driver is told. */
export function reaching(to: JournalUrl): ClientConfig {
  if (typeof to === 'string') return { connectionString: to };
  // Beside a URL the driver would take the password that stands in it: none.
  return { ...parseIntoClientConfig(to.url), password: to.password };
}
