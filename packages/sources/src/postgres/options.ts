import { SourceError } from '@keyturn/source';
import type { ClientConfig } from 'pg';

/** How an application reaches the database; the login is filled in for each credential. */
export interface ConnectionTemplate {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Further connection parameters: `{ sslmode: 'verify-full' }`. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** What `postgres()` has to know. */
export interface PostgresOptions {
  /** The two login roles that take turns. The second one is created when it is first needed. */
  readonly roles: readonly [string, string];
  /** The role without a login that owns the objects and holds the grants; both login roles are members of it. */
  readonly owner: string;
  /**
   * The rotator role's login. Asked for afresh for each connection, so that it may be rotated too. What it throws
   * passes through as it is, so it must hold no value.
   */
  readonly admin: () => Promise<ClientConfig>;
  readonly template: ConnectionTemplate;
  /** `url`: `postgres://user:password@host:port/database?…`; `json`: `{host,port,database,user,password,…}`. */
  readonly format: 'url' | 'json';
  /** SQL that `prove` runs as the application; `select current_user` if absent. */
  readonly probe?: string;
  /** No connection after this long is `UNREACHABLE`; 5,000 if absent. */
  readonly connectTimeoutMs?: number;
  /** No answer to a statement after this long is `UNREACHABLE`; 10,000 if absent. */
  readonly statementTimeoutMs?: number;
  /** Where passwords come from; `crypto.randomBytes` if absent. */
  readonly randomBytes?: (size: number) => Buffer;
}

/** Refuses a configuration in which issuing could touch the credential that is in use. */
export function checkOptions({ roles, owner }: PostgresOptions): void {
  const [first, second] = roles;
  if (first === second) {
    throw new SourceError('MISCONFIGURED', `Both login roles are "${first}", so there is no idle one.`, {
      hint: 'Name two different roles: one is in use while the other gets a new password.',
    });
  }
  if (roles.includes(owner)) {
    throw new SourceError('MISCONFIGURED', `"${owner}" is named both as owner and as login role.`, {
      hint: 'Name a third role without a login as owner; both login roles become members of it.',
    });
  }
  // PostgreSQL would cut a longer name silently, and two names could become one.
  const tooLong = [...roles, owner].find((name) => name === '' || Buffer.byteLength(name) > 63);
  if (tooLong === undefined) return;
  throw new SourceError(
    'MISCONFIGURED',
    `"${tooLong}" can't be the name of a role: it takes 1 to 63 bytes.`,
    {
      hint: 'Shorten the name.',
    },
  );
}
