import { setTimeout as sleep } from 'node:timers/promises';
import { SourceError } from '@keyturn/source';
import { createClient } from 'redis';
import { toSourceError } from './errors.ts';
import { readUrl, type Login } from './login.ts';
import type { RedisOptions } from './options.ts';

/** An open connection of Keyturn's own login. */
export interface Connection {
  /** Whom it is logged in as. */
  readonly rotator: string;
  /** Sends one command and returns the answer as RESP 3 has it. Throws a `SourceError`. */
  readonly command: (...words: readonly string[]) => Promise<unknown>;
}

/** Sends a command as it is; throws what the driver throws. */
export type Send = (words: readonly string[]) => Promise<unknown>;

/** Opens a connection for one action and ends it whatever happens; it never connects again by itself. */
export async function withConnection<T>(
  { login, name, options }: { readonly login: Login; readonly name: string; readonly options: RedisOptions },
  action: (send: Send) => Promise<T>,
): Promise<T> {
  const { connectTimeoutMs = 5_000, commandTimeoutMs = 10_000 } = options;
  const { host, port, tls, username, password } = login;
  const socket = { host, port, connectTimeout: connectTimeoutMs, reconnectStrategy: false } as const;
  const client = createClient({
    socket: tls ? { ...socket, tls: true } : socket,
    username,
    password,
    // Login and name are one command then (HELLO … AUTH … SETNAME): the connection is never seen without its name.
    RESP: 3,
    name,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  });
  // A connection that breaks between two commands would otherwise end the process; the next one reports it.
  client.on('error', () => undefined);
  try {
    await within(connectTimeoutMs, () => client.connect());
    return await action((words) => within(commandTimeoutMs, () => client.sendCommand([...words])));
  } finally {
    if (client.isOpen) client.destroy();
  }
}

/** Does something with Keyturn's own login. */
export async function asRotator<T>(
  options: RedisOptions,
  action: (connection: Connection) => Promise<T>,
): Promise<T> {
  const { url } = await options.admin();
  const login = readUrl(url);
  if (login === undefined) throw noLogin();
  const { username: rotator, password } = login;
  if (rotator === options.user) throw sameUser(rotator);
  const failed = (error: unknown, words?: readonly string[]) =>
    toSourceError(error, {
      loginOf: 'rotator',
      secrets: [url, password, encodeURIComponent(password)],
      rotator,
      ...(words ? { words } : {}),
    });
  try {
    return await withConnection({ login, name: 'keyturn', options }, (send) =>
      action({
        rotator,
        command: (...words) =>
          send(words).catch((error: unknown) => {
            throw failed(error, words);
          }),
      }),
    );
  } catch (error) {
    throw failed(error);
  }
}

function noLogin(): SourceError {
  return new SourceError('MISCONFIGURED', "Keyturn's own login is no URL of Redis with a password.", {
    hint: 'Write it as redis://user:password@host:6379, percent-encoded, or rediss:// with TLS.',
  });
}

function sameUser(user: string): SourceError {
  return new SourceError('MISCONFIGURED', `Keyturn logs in as ${user}, which it is to rotate.`, {
    hint: 'Give Keyturn an ACL user of its own: see setupCommand().',
  });
}

async function within<T>(timeoutMs: number, action: () => Promise<T>): Promise<T> {
  const over = new AbortController();
  const tooLate = sleep(timeoutMs, undefined, { signal: over.signal }).then(() => {
    throw Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' });
  });
  tooLate.catch(() => undefined); // it is called off when the answer is there
  try {
    return await Promise.race([action(), tooLate]);
  } finally {
    over.abort();
  }
}
