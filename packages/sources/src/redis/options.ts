import { SourceError } from '@keyturn/source';

/** How an application reaches the server; the login is filled in for each credential. */
export interface RedisTemplate {
  readonly host: string;
  readonly port: number;
  /** True if the application connects with TLS. */
  readonly tls?: boolean;
  /** The number of the database; 0 if absent. */
  readonly database?: number;
}

/** What `redis()` has to know. */
export interface RedisOptions {
  /** The ACL user that the application logs in as. It holds both passwords during an overlap window. */
  readonly user: string;
  /**
   * The URL of Keyturn's own login, `redis://keyturn:…@host:6379` or `rediss://…`. Asked for afresh for each
   * connection, so that it may be rotated too. What it throws passes through as it is, so it must hold no value.
   */
  readonly admin: () => Promise<{ readonly url: string }>;
  readonly template: RedisTemplate;
  /**
   * `url`: `redis://user:password@host:port/database`, `rediss://` with TLS; `json`: `{host,port,username,password}`,
   * and `database` if there is one; `password`: the password alone.
   */
  readonly format: 'url' | 'json' | 'password';
  /** No connection after this long is `UNREACHABLE`; 5,000 if absent. */
  readonly connectTimeoutMs?: number;
  /** No answer to a command after this long is `UNREACHABLE`; 10,000 if absent. */
  readonly commandTimeoutMs?: number;
  /** Where passwords come from; `crypto.randomBytes` if absent. */
  readonly randomBytes?: (size: number) => Buffer;
}

/** Refuses a user whose passwords Keyturn can't answer for. */
export function checkOptions({ user }: RedisOptions): void {
  if (user === 'default') {
    throw new SourceError('MISCONFIGURED', 'The application logs in as the user "default".', {
      hint: 'Give it an ACL user of its own: requirepass would bring a revoked password of "default" back at a restart.',
    });
  }
  if (user !== '' && !/[\s\0]/.test(user)) return;
  throw new SourceError('MISCONFIGURED', `"${user}" can't be the name of an ACL user.`, {
    hint: 'Name the user that the application logs in as, without spaces.',
  });
}
