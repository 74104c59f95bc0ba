import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type RedisClientOptions } from 'redis';
import { isRefusal } from '../refusal.ts';
import type { Secrets } from '../secrets.ts';
import { connectionName } from './redis-connection-name.ts';
import { redisLogin, type RedisLogin } from './redis-login.ts';
import { openSignedInClients, type SignIn } from './signed-in-clients.ts';

type Client = ReturnType<typeof createClient>;

export interface SecretRedisOptions extends Omit<
  RedisClientOptions,
  | 'username'
  | 'password'
  | 'credentialsProvider'
  | 'url'
  | 'name'
  | 'modules'
  | 'functions'
  | 'scripts'
  | 'RESP'
> {
  /** The protocol; default that of node-redis. */
  readonly RESP?: 2 | 3;
  /** The user that a value without one is for. */
  readonly username?: string;
  /**
   * Names each connection `orders-api@3f9a02c41d7e`, this text and a fingerprint of the password, so that the server's
   * `CLIENT LIST` shows who uses which password. Keyturn goes by it where one user has two.
   */
  readonly nameConnections?: string;
}

/** Connections to Redis that change their credential while they stay open. */
export interface SecretRedis {
  readonly client: Client;
  /** Runs `action` with the client; one that is refused is run once more if there is a newer version. */
  use<Result>(action: (client: Client) => Result | Promise<Result>): Promise<Result>;
  /** Another connection, for subscriptions or blocking commands. */
  duplicate(): Promise<Client>;
  /** Ends all of them, after the commands under way. */
  close(): Promise<void>;
  /** `error`: a new version could not log in; the old one stays. Without a listener it is ignored. */
  on(event: 'error', listener: (error: Error) => void): SecretRedis;
}

/**
 * node-redis with a credential that changes: the new login is proven by a connection apart, then every open connection
 * signs in anew (`AUTH`) without losing a command. With `RESP: 2` one that is subscribed can't: it holds the old
 * version until it connects again. The value is the password, a `redis://` URL or JSON (`username`, `password`,
 * `host`, `port`).
 *
 * @example
 * const redis = await openRedis(secrets, 'orders-redis', { username: 'orders', socket: { host: 'redis.internal' } });
 * await redis.client.get('cart:7');
 */
export async function openRedis<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  { nameConnections, username: defaultUser, ...options }: SecretRedisOptions = {},
): Promise<SecretRedis> {
  const listeners = new Set<(error: Error) => void>();
  /** What each client logs in with when it connects, and what it logged in with last. */
  const nextOf = new WeakMap<Client, SignIn<RedisLogin>>();
  const usedBy = new WeakMap<Client, SignIn<RedisLogin>>();

  const isOldProtocol = options.RESP === 2;

  const open = (login: RedisLogin, more: RedisClientOptions = {}): Client => {
    const client: Client = createClient({
      ...(options as RedisClientOptions),
      ...(login.database === undefined ? {} : { database: login.database }),
      ...more,
      socket: { ...options.socket, ...placeOf(login), ...more.socket } as RedisClientOptions['socket'] &
        object,
      credentialsProvider: {
        type: 'async-credentials-provider',
        credentials() {
          const next = nextOf.get(client);
          if (next) usedBy.set(client, next);
          return Promise.resolve(credentialsOf(next?.login ?? login));
        },
      },
    });
    return client;
  };

  const credentialsOf = ({ username = defaultUser, password }: RedisLogin) => ({
    ...(username === undefined ? {} : { username }),
    password,
  });

  const nameItself = async (client: Client): Promise<void> => {
    const login = usedBy.get(client)?.login;
    if (nameConnections === undefined || login === undefined) return;
    await client.sendCommand(['CLIENT', 'SETNAME', connectionName(nameConnections, login.password)]);
  };

  const authenticate = (client: Client, login: RedisLogin): Promise<unknown> => {
    const { username, password } = credentialsOf(login);
    return client.sendCommand(['AUTH', ...(username === undefined ? [] : [username]), password]);
  };

  const clients = openSignedInClients<Client, RedisLogin, Name>(secrets, name, {
    read: redisLogin,
    async prove(login) {
      const apart = open(login, {
        socket: { reconnectStrategy: false } as RedisClientOptions['socket'] & object,
      });
      apart.on('error', () => {}); // connect() throws it
      try {
        await apart.connect();
        await apart.ping();
      } finally {
        if (apart.isOpen) apart.destroy();
      }
    },
    async signIn(client, newest) {
      let refused: SignIn<RedisLogin> | undefined;
      while (client.isOpen) {
        const to = newest();
        nextOf.set(client, to); // for when it connects again
        if (client.isReady && usedBy.get(client) === to) return to; // it has
        if (client.isReady && !(isOldProtocol && client.isPubSubActive)) {
          const refusal = await authenticate(client, to.login).catch((error: unknown) => error as Error);
          if (!(refusal instanceof Error)) {
            usedBy.set(client, to);
            await nameItself(client).catch(() => {}); // it is lost, and will connect again
            return to;
          }
          if (refused !== to) clients.met(to, refusal);
          refused = to;
        }
        await sleep(50);
      }
      return undefined;
    },
    end: (client) => (client.isOpen ? client.close() : Promise.resolve()),
    failed(error) {
      // Apart, so that a listener that throws is seen but stops no swap half-way.
      for (const listener of listeners) queueMicrotask(() => listener(error));
    },
  });

  const connect = (): Promise<Client> =>
    clients.add(async (signIn) => {
      const client = open(signIn.login);
      nextOf.set(client, signIn);
      const refused = Promise.withResolvers<never>(); // node-redis itself would go on with the same login
      client.on('error', (error: Error) => {
        clients.met(usedBy.get(client), error);
        if (isRefusal(error)) refused.reject(error);
      });
      client.on('ready', () => {
        usedBy.get(client)?.told.authenticated();
        nameItself(client).catch(() => {}); // it connects again
      });
      refused.promise.catch(() => {}); // of use at the first login only
      try {
        await Promise.race([client.connect(), refused.promise]);
      } catch (error) {
        if (client.isOpen) client.destroy();
        throw error;
      }
      await nameItself(client);
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

function placeOf({ host, port, tls }: RedisLogin): object {
  return {
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(tls ? { tls: true } : {}),
  };
}
