import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import { isRefusal } from '../refusal.ts';
import type { Secrets } from '../secrets.ts';
import { connectionName as nameWith } from './redis-connection-name.ts';
import { redisLogin, type RedisLogin } from './redis-login.ts';
import { openSignedInClients, type SignIn } from './signed-in-clients.ts';

export interface SecretRedisOptions extends Omit<RedisOptions, 'password' | 'lazyConnect' | 'replyMapping'> {
  /**
   * Names each connection `orders-api@3f9a02c41d7e`, this text and a fingerprint of the password, so that the server's
   * `CLIENT LIST` shows who uses which password. Keyturn goes by it where one user has two. Default: connections keep
   * the name that they have.
   */
  readonly nameConnections?: string;
}

/** Connections to Redis that change their credential while they stay open. */
export interface SecretRedis {
  readonly client: Redis;
  /**
   * Runs `action` with the client. A command that waits while the connection is made anew, and refused, fails with
   * `WRONGPASS`; here it is run once more when there is a newer version.
   */
  use<Result>(action: (client: Redis) => Result | Promise<Result>): Promise<Result>;
  /** Another connection, for subscriptions or blocking commands. */
  duplicate(): Promise<Redis>;
  /** Ends all of them, after the commands under way. */
  close(): Promise<void>;
  /** `error`: a new version could not log in; the old one stays. Without a listener it is ignored. */
  on(event: 'error', listener: (error: Error) => void): SecretRedis;
}

/**
 * ioredis with a credential that changes: the new login is proven by a connection apart, then every open connection
 * signs in anew (`AUTH`) without losing a command; one that is subscribed can't, so it connects again and subscribes
 * again. The value is the password, a `redis://` URL or JSON (`username`, `password`, `host`, `port`).
 *
 * @example
 * const redis = await openRedis(secrets, 'orders-redis', { host: 'redis.internal', username: 'orders' });
 * await redis.client.get('cart:7');
 * const subscriber = await redis.duplicate();
 */
export async function openRedis<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  { nameConnections, ...options }: SecretRedisOptions = {},
): Promise<SecretRedis> {
  const listeners = new Set<(error: Error) => void>();

  const nameOf = ({ password }: RedisLogin): string | undefined =>
    nameConnections === undefined ? undefined : nameWith(nameConnections, password);

  /** What each client logs in with when it connects. */
  const nextOf = new WeakMap<Redis, SignIn<RedisLogin>>();

  const clients = openSignedInClients<Redis, RedisLogin, Name>(secrets, name, {
    read: redisLogin,
    prove: (login) => logInApart({ ...options, ...optionsOf(login) }),
    signIn: (client, newest) =>
      keepSigningIn(client, newest, { nameOf, nextOf, met: (...met) => clients.met(...met) }),
    end: (client) => client.quit().catch(() => client.disconnect()),
    failed(error) {
      // Apart, so that a listener that throws is seen but stops no swap half-way.
      for (const listener of listeners) queueMicrotask(() => listener(error));
    },
  });

  const connect = (): Promise<Redis> =>
    clients.add(async (signIn) => {
      const connectionName = nameOf(signIn.login);
      const named = connectionName === undefined ? {} : { connectionName };
      const client = new Redis({ ...options, ...optionsOf(signIn.login), ...named, lazyConnect: true });
      nextOf.set(client, signIn);
      let refusal: Error | undefined; // connect() itself says no more than that it is closed
      client.on('error', (error: Error) => {
        forgetLogin(error);
        if (isRefusal(error)) refusal ??= error;
        clients.met(nextOf.get(client), error);
      });
      client.on('ready', () => nextOf.get(client)?.told.authenticated());
      try {
        await client.connect();
      } catch (error) {
        client.disconnect(); // or it would go on with the same login
        throw refusal ?? error;
      }
      return client;
    });

  const client = await connect();
  const redis: SecretRedis = {
    client,
    use: (action) => clients.use(client, action),
    duplicate: connect,
    close: () => clients.close(),
    on(_event, listener) {
      listeners.add(listener);
      return redis;
    },
  };
  return redis;
}

type Options = Omit<RedisOptions, 'replyMapping'>;

function optionsOf({ username, password, host, port, tls, database }: RedisLogin): Options {
  return {
    password,
    ...(username === undefined ? {} : { username }),
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(tls ? { tls: {} } : {}),
    ...(database === undefined ? {} : { db: database }),
  };
}

async function logInApart(given: Options): Promise<void> {
  const options = { ...given, lazyConnect: true, retryStrategy: () => null };
  const apart = new Redis(options);
  let said: Error | undefined; // connect() itself says no more than that it is closed
  apart.on('error', (error: Error) => {
    forgetLogin(error);
    said ??= error;
  });
  try {
    await apart.connect();
    await apart.ping();
  } catch (error) {
    throw said ?? error;
  } finally {
    apart.disconnect();
  }
}

/** ioredis notes in an error which command failed, with all of its arguments: the password is one. */
function forgetLogin(error: Error & { command?: { readonly name?: unknown } }): void {
  if (error.command?.name === 'auth' || error.command?.name === 'hello') delete error.command;
}

/** Goes on until the client has signed in, or has ended: the connection may break at any moment. */
async function keepSigningIn(
  client: Redis,
  newest: () => SignIn<RedisLogin>,
  at: {
    readonly nameOf: (login: RedisLogin) => string | undefined;
    readonly nextOf: WeakMap<Redis, SignIn<RedisLogin>>;
    readonly met: (signIn: SignIn<RedisLogin>, error: unknown) => void;
  },
): Promise<SignIn<RedisLogin> | undefined> {
  let refused: SignIn<RedisLogin> | undefined;
  for (;;) {
    const to = newest();
    const connectionName = at.nameOf(to.login);
    // For when it connects again.
    at.nextOf.set(client, to);
    Object.assign(
      client.options,
      optionsOf(to.login),
      connectionName === undefined ? {} : { connectionName },
    );
    if (client.status === 'end') return undefined;
    if (client.status === 'ready') {
      try {
        await signInOnce(client, to.login, connectionName);
        return to;
      } catch (error) {
        if (refused !== to) at.met(to, error);
        refused = to;
      }
    }
    await sleep(50);
  }
}

async function signInOnce(
  client: Redis,
  { username = client.options.username, password }: RedisLogin,
  connectionName: string | undefined,
): Promise<void> {
  if (client.mode === 'subscriber') {
    client.disconnect(true);
    await once(client, 'ready');
    return;
  }
  await (username ? client.auth(username, password) : client.auth(password));
  if (connectionName !== undefined) await client.client('SETNAME', connectionName);
}
