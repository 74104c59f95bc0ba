import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, type RedisClientOptions } from 'redis';
import type { Secrets } from '../secrets.ts';
import { redisLogin, type RedisLogin } from './redis-login.ts';
import { openSignedInClients } from './signed-in-clients.ts';

type Client = ReturnType<typeof createClient>;

export interface SecretRedisOptions extends Omit<
  RedisClientOptions,
  'username' | 'password' | 'credentialsProvider' | 'url' | 'name' | 'modules' | 'functions' | 'scripts'
> {
  /** The user that a value without one is for. */
  readonly username?: string;
  /**
   * Names each connection `orders-api@1f3c8a00`, this text and the first eight characters of the version, so that the
   * server's `CLIENT LIST` shows who uses which version.
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
  /** What each client logs in with when it connects, and the name that it gives itself then. */
  const loginOf = new WeakMap<Client, { readonly login: RedisLogin; readonly version: string }>();

  const isOldProtocol = (options.RESP as number | undefined) === 2;

  const open = (login: RedisLogin, more: RedisClientOptions = {}): Client => {
    const client: Client = createClient({
      ...(options as RedisClientOptions),
      ...more,
      socket: { ...options.socket, ...placeOf(login), ...more.socket } as RedisClientOptions['socket'] &
        object,
      credentialsProvider: {
        type: 'async-credentials-provider',
        credentials: () => Promise.resolve(credentialsOf(loginOf.get(client)?.login ?? login)),
      },
    });
    return client;
  };

  const credentialsOf = ({ username = defaultUser, password }: RedisLogin) => ({
    ...(username === undefined ? {} : { username }),
    password,
  });

  const nameItself = async (client: Client): Promise<void> => {
    const version = loginOf.get(client)?.version;
    if (nameConnections === undefined || version === undefined) return;
    await client.sendCommand(['CLIENT', 'SETNAME', `${nameConnections}@${version.slice(0, 8)}`]);
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
    async signIn(client, { login, version }) {
      loginOf.set(client, { login, version }); // for when it connects again
      while (client.isOpen) {
        const canSignIn = client.isReady && !(isOldProtocol && client.isPubSubActive);
        const done =
          canSignIn &&
          (await authenticate(client, login).then(
            () => true,
            () => false,
          ));
        if (done) return nameItself(client);
        await sleep(50);
      }
    },
    end: (client) => (client.isOpen ? client.close() : Promise.resolve()),
    failed(error) {
      // Apart, so that a listener that throws is seen but stops no swap half-way.
      for (const listener of listeners) queueMicrotask(() => listener(error));
    },
  });

  const connect = (): Promise<Client> =>
    clients.add(async ({ login, version }) => {
      const client = open(login);
      loginOf.set(client, { login, version });
      client.on('error', (error) => clients.met(client, error));
      client.on('ready', () => {
        clients.connected(client);
        nameItself(client).catch(() => {}); // it connects again
      });
      await client.connect();
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
