import { systemClock, type Clock } from '../clock.ts';
import type { SecretHandle } from '../handle.ts';
import type { Secret } from '../secret.ts';
import type { Hold, Secrets } from '../secrets.ts';
import { namespaceLogin, type NamespaceLogin } from './namespace-login.ts';

/** How long a token lives that the SDKs sign with a key, milliseconds. They renew it after 45 minutes. */
const tokenLifeMs = 60 * 60 * 1000;

/** A `NamedKeyCredential` for the clients of `@azure/service-bus`, `@azure/event-hubs` and their like. */
export interface NamedKey {
  readonly name: string;
  /** Read by the SDK for every token that it signs: always the newest key. */
  readonly key: string;
  /** Tell it that the namespace refused a login: reads past the cache. The SDKs keep such news to themselves. */
  refused(): Promise<void>;
  /** After the clients were closed: no token is left that counts. */
  close(): void;
}

export interface NamedKeyOptions {
  /** Told that a new value is no login. The key before it goes on. */
  readonly failed?: (error: Error) => void;
  /** For tests; default the machine's clock. */
  readonly clock?: Clock;
}

/**
 * The newest key as a credential, for who manages clients of their own. Their next token is signed with the new
 * key, but a link that is open stays on the old token until the SDK renews it, up to 45 minutes later, and a token
 * lives for 60. So a version counts as in use for an hour after the last token that it signed, and a rotation waits
 * for that long. Nobody can tell that a login succeeded, so none is reported.
 *
 * @throws SecretsError `VALUE_FORMAT`, or why the secret could not be loaded.
 *
 * @example
 * const bus = new ServiceBusClient('orders.servicebus.windows.net', await namedKey(secrets, 'orders-bus'));
 */
export async function namedKey<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  { failed = () => {}, clock = systemClock }: NamedKeyOptions = {},
): Promise<NamedKey> {
  const handle: SecretHandle = secrets.handle(name);
  const first = await handle.ready;
  let newest = { secret: first, login: namespaceLogin(first) };
  let seen: Secret = first;
  const held = new Map<string, { readonly hold: Hold; cancel: () => void }>();

  /** A value that is no login is told once, and passed over. */
  function current(): NamespaceLogin {
    const secret = handle.current;
    if (secret !== seen) {
      seen = secret;
      try {
        newest = { secret, login: namespaceLogin(secret) };
      } catch (error) {
        failed(error as Error);
      }
    }
    return newest.login;
  }

  /** A token is being signed. */
  function signs({ version }: Secret): void {
    const known = held.get(version);
    known?.cancel();
    const hold = known?.hold ?? secrets.hold(name, version);
    const cancel = clock.after(tokenLifeMs, () => {
      held.delete(version);
      hold.release();
    });
    held.set(version, { hold, cancel });
  }

  return {
    get name() {
      return current().keyName;
    },
    get key() {
      const { key } = current();
      signs(newest.secret);
      return key;
    },
    async refused() {
      await held.get(newest.secret.version)?.hold.refused();
    },
    close() {
      for (const { hold, cancel } of held.values()) {
        cancel();
        hold.release();
      }
      held.clear();
    },
  };
}
