import postgres, { type Options, type RowList, type Sql } from 'postgres';
import { follow, type Told } from '../follow.ts';
import type { Secret } from '../secret.ts';
import type { Secrets } from '../secrets.ts';
import { formatError, postgresLogin } from './postgres-login.ts';

type Parameter = Parameters<Sql>[1];
type Row = Record<string, unknown>;

const lostTimeoutS = 5;

/** Everything of postgres.js's options but the login, which is the secret's. */
export type SecretSqlOptions = Omit<
  Options<Record<string, never>>,
  'user' | 'username' | 'password' | 'pass'
>;

/** postgres.js with a login that changes. */
export interface SecretSql {
  /**
   * Runs a query. Unlike that of postgres.js it begins at once and is a plain promise: fragments, cursors and what
   * else hangs on a query are to be had in `use`.
   */
  <Result extends Row = Row>(
    strings: TemplateStringsArray,
    ...parameters: readonly Parameter[]
  ): Promise<RowList<Result[]>>;
  /** Lends the newest `sql` of postgres.js until `action` settles: fragments, `begin`, `reserve`, `cursor`, `unsafe`. */
  use<Result>(action: (sql: Sql) => Result | Promise<Result>): Promise<Result>;
  /** Serves what is under way, then closes every connection. */
  end(): Promise<void>;
  /** `error`: a new version could not log in; the old one stays. Without a listener it is ignored. */
  on(event: 'error', listener: (error: Error) => void): SecretSql;
}

/**
 * postgres.js that takes up new versions of its secret while it serves: it proves the new login, swaps, and closes
 * the old connections when their last query is through. The value is a `postgres://` URL or JSON (`host`, `port`,
 * `database`, `username`, `password`). Loads the secret at the first use.
 *
 * @example
 * const sql = createSql(secrets, 'orders-db', { max: 10 });
 * const orders = await sql`select id from orders where item = ${item}`;
 * await sql.use((sql) => sql.begin((sql) => [sql`insert …`, sql`update …`]));
 */
export function createSql<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  options: SecretSqlOptions = {},
): SecretSql {
  const listeners = new Set<(error: Error) => void>();
  const logins = follow<OneVersion, Name>(secrets, name, {
    open: (secret, told) => openOneVersion(secret, told, options),
    prove: ({ use }) => use((sql) => sql`select 1`),
    close: ({ close }) => close(),
    refused: isLoginRefusal,
    failed(error) {
      // Apart, so that a listener that throws is seen but stops no swap half-way.
      for (const listener of listeners) queueMicrotask(() => listener(error));
    },
  });

  const use: SecretSql['use'] = (action) => logins.use((login) => login.use(action));
  const query = <Result extends Row>(strings: TemplateStringsArray, ...parameters: readonly Parameter[]) =>
    use(async (sql) => sql<Result[]>(strings, ...parameters));
  const sql: SecretSql = Object.assign(query, {
    use,
    end: () => logins.close(),
    on(_event: 'error', listener: (error: Error) => void) {
      listeners.add(listener);
      return sql;
    },
  });
  return sql;
}

interface OneVersion {
  use<Result>(action: (sql: Sql) => Result | Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

/**
 * When a connection is lost under a query and the login is refused after that, postgres.js connects again for ever
 * and the query waits with it. So a loss is followed by a login apart; if that is refused, a fresh client takes
 * over, and what still waits at the old one fails when its time is over.
 */
function openOneVersion(secret: Secret, told: Told, options: SecretSqlOptions): OneVersion {
  let underWay = 0;
  let looking: Promise<void> | undefined;
  const open = (more: SecretSqlOptions = {}): Sql => openSql(secret, { ...options, ...more });
  const lost = (): void => {
    if (underWay > 0) looking ??= look().finally(() => (looking = undefined));
  };
  let sql = open({ onclose: lost });

  async function look(): Promise<void> {
    const apart = open({ max: 1 });
    try {
      await apart`select 1`;
    } catch (error) {
      if (!isLoginRefusal(error)) return; // the network, maybe: postgres.js tries again
      const old = sql;
      sql = open({ onclose: lost });
      await told.refused();
      await old.end({ timeout: lostTimeoutS });
    } finally {
      await apart.end({ timeout: 1 });
    }
  }

  return {
    async use(action) {
      underWay += 1;
      try {
        return await action(sql);
      } finally {
        underWay -= 1;
      }
    },
    async close() {
      await looking;
      // Nothing is under way any more. The limit is for connections that the server has ended.
      await sql.end({ timeout: 1 });
    },
  };
}

function openSql(secret: Secret, options: SecretSqlOptions): Sql {
  const ofUrl = (url: string): Sql => {
    try {
      return postgres(url, options);
    } catch {
      throw formatError(secret); // its own complaint quotes the whole URL
    }
  };
  const { connectionString, user, password, host, port, database, ...parameters } = postgresLogin(secret);
  if (connectionString !== undefined) return ofUrl(connectionString);
  const place = Object.fromEntries(
    Object.entries({ host, port, database }).filter(([, value]) => value !== undefined),
  );
  const connection = { ...options.connection, ...parameters } as Exclude<
    SecretSqlOptions['connection'],
    undefined
  >;
  return postgres({ ...options, connection, user, password, ...place } as Options<Record<string, never>>);
}

/** PostgreSQL said no to a login: wrong password, or a role that may not log in or is gone. */
function isLoginRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === '28P01' || code === '28000';
}
