import { follow, type Following, type Told } from '../follow.ts';
import { isRefusal } from '../refusal.ts';
import type { Secret } from '../secret.ts';
import type { Secrets } from '../secrets.ts';

/** One version's login, and whom to tell about it. */
export interface SignIn<Login> {
  readonly version: string;
  readonly login: Login;
  readonly told: Told;
}

/** What an adapter for clients that sign in again while they are connected knows of its driver. */
export interface Driver<Client, Login> {
  read(secret: Secret): Login;
  /** Logs in apart from the clients. Throws what the server said. */
  prove(login: Login): Promise<unknown>;
  /** Has a client use this login from now on, reconnects included; resolves when it does, or when it has ended. */
  signIn(client: Client, signIn: SignIn<Login>): Promise<unknown>;
  end(client: Client): Promise<unknown>;
  readonly failed: (error: Error) => void;
}

/** Clients that stay connected while their credential changes: the server takes a new login on an open connection. */
export interface SignedInClients<Client, Login> {
  /** Makes a client with the newest login, and keeps it on the newest from then on. */
  add(make: (signIn: SignIn<Login>) => Client | Promise<Client>): Promise<Client>;
  /** Runs `action` with a client; one that is refused is run once more if there is a newer version. */
  use<Result>(client: Client, action: (client: Client) => Result | Promise<Result>): Promise<Result>;
  /** An error that a client met by itself, when it connected again for one. */
  met(client: Client, error: unknown): void;
  /** A client has connected again. */
  connected(client: Client): void;
  /** Ends all of them. */
  close(): Promise<void>;
}

export function openSignedInClients<Client extends object, Login, Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  driver: Driver<Client, Login>,
): SignedInClients<Client, Login> {
  /** With which login each has signed in last. */
  const clients = new Map<Client, SignIn<Login>>();
  const moving = new Map<Client, Promise<void>>();
  let newest: SignIn<Login> | undefined;
  let isClosing = false;

  const logins: Following<SignIn<Login>> = follow<SignIn<Login>, Name>(secrets, name, {
    open: (secret, told) => ({ version: secret.version, login: driver.read(secret), told }),
    async prove(signIn) {
      await driver.prove(signIn.login);
      newest = signIn;
      // At once: an action that uses a client may wait for just that, when the old login is refused.
      for (const client of clients.keys()) void move(client);
    },
    // Its clients are signed in anew; nobody uses it once the last of them is.
    async close(old) {
      const its = [...clients].filter(([, signIn]) => signIn === old).map(([client]) => client);
      await Promise.all(its.map((client) => (isClosing ? end(client) : move(client))));
    },
    failed: driver.failed,
  });

  function move(client: Client): Promise<void> {
    const moved = moving.get(client) ?? signInAnew(client).finally(() => moving.delete(client));
    moving.set(client, moved);
    return moved;
  }

  async function signInAnew(client: Client): Promise<void> {
    for (let to = newest; to && clients.has(client) && clients.get(client) !== to; to = newest) {
      await driver.signIn(client, to);
      if (clients.has(client)) clients.set(client, to);
      to.told.authenticated();
    }
  }

  async function end(client: Client): Promise<void> {
    clients.delete(client);
    await driver.end(client);
  }

  return {
    add: (make) =>
      logins.use(async (signIn) => {
        const client = await make(signIn);
        clients.set(client, signIn);
        return client;
      }),
    use: (client, action) =>
      logins.use(async () => {
        await move(client);
        return action(client);
      }),
    met(client, error) {
      if (isRefusal(error)) void clients.get(client)?.told.refused();
    },
    connected: (client) => clients.get(client)?.told.authenticated(),
    close() {
      isClosing = true;
      return logins.close();
    },
  };
}
