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
  /**
   * Has a client use the newest login, reconnects included. Asks which one that is before each attempt, and goes on
   * until one succeeds. Resolves with the one that it uses, or with nothing when the client has ended.
   */
  signIn(client: Client, newest: () => SignIn<Login>): Promise<SignIn<Login> | undefined>;
  end(client: Client): Promise<unknown>;
  readonly failed: (error: Error) => void;
}

/** Clients that stay connected while their credential changes: the server takes a new login on an open connection. */
export interface SignedInClients<Client, Login> {
  /** Makes a client with the newest login, and keeps it on the newest from then on. */
  add(make: (signIn: SignIn<Login>) => Client | Promise<Client>): Promise<Client>;
  /** Runs `action` with a client; one that is refused is run once more if there is a newer version. */
  use<Result>(client: Client, action: (client: Client) => Result | Promise<Result>): Promise<Result>;
  /** An error that a client met by itself with this login, when it connected again for one. */
  met(signIn: SignIn<Login> | undefined, error: unknown): void;
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
    async prove(signIn, signal) {
      await driver.prove(signIn.login);
      signal.throwIfAborted(); // there may be a newer one already
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
    while (newest && clients.has(client) && clients.get(client) !== newest) {
      const proven = newest;
      const used = await driver.signIn(client, () => newest ?? proven);
      if (clients.has(client)) clients.set(client, used ?? proven);
      used?.told.authenticated();
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
    met(signIn, error) {
      if (isRefusal(error)) void signIn?.told.refused();
    },
    close() {
      isClosing = true;
      return logins.close();
    },
  };
}
