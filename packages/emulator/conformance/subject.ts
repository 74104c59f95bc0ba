import { setTimeout as delay } from 'node:timers/promises';
import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import type { Agent } from 'node:https';
import { rawCall, type Method, type RawAnswer, type RawOptions } from './raw-call.ts';

/** The vault that checks are about, with all that a check may use. */
export interface Subject {
  /** `https://NAME.vault.azure.net`, without a slash at the end. */
  readonly url: string;
  /** The real client library, unmodified. */
  readonly client: SecretClient;
  /** Another client of the same vault that has sent nothing yet. */
  newClient(options?: SecretClientOptions): SecretClient;
  /**
   * One request without the client library, with the caller's token and an api-version unless told otherwise.
   * `path` is `/secrets/…`, or an absolute link, which is called as it is.
   */
  call(method: Method, path: string, options?: RawOptions): Promise<RawAnswer>;
  token(): Promise<string>;
  /**
   * The name of a secret that is not there yet, at least as long as asked for. What is set under it is deleted
   * and purged at the end.
   */
  fresh(length?: number): string;
  /** How long to wait between two looks; seconds on the service, where deletion takes that long. */
  readonly pollMs: number;
  /** Looks until the condition holds, and fails when it doesn't within the patience that the vault deserves. */
  until(what: string, condition: () => Promise<boolean>): Promise<void>;
  /** What the checks of managed identity talk to. */
  readonly identity?: IdentityWire;
}

export interface IdentityWire {
  /** `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`. */
  readonly appService: { readonly url: string; readonly header: string };
  /** `AZURE_POD_IDENTITY_AUTHORITY_HOST`, with a slash at the end. */
  readonly imds: string;
  /** What a process needs to reach the vault and its identity through App Service's form. */
  readonly environment: Readonly<Record<string, string>>;
}

export type Policies = NonNullable<SecretClientOptions['additionalPolicies']>;

/** How a vault is reached. */
export interface Connection {
  readonly url: string;
  readonly credential: ConstructorParameters<typeof SecretClient>[1];
  readonly agent?: Agent;
  readonly policies?: Policies;
  readonly pollMs: number;
  readonly patienceMs: number;
  readonly identity?: IdentityWire;
}

/** Stable, and old enough for every vault. */
const apiVersion = '7.6';
const tokenScope = 'https://vault.azure.net/.default';

/** A subject, and the names that it gave out. */
export function createSubject(connection: Connection): {
  readonly subject: Subject;
  readonly names: string[];
} {
  const { url, credential, agent, pollMs } = connection;
  const run = `conformance-${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  const names: string[] = [];
  const newClient = (options: SecretClientOptions = {}): SecretClient =>
    new SecretClient(url, credential, {
      ...(agent === undefined ? {} : { agent }),
      ...options,
      // Those that come with the connection stay nearest to the wire.
      additionalPolicies: [...(options.additionalPolicies ?? []), ...(connection.policies ?? [])],
    });

  let known: Promise<string> | undefined;
  const token = (): Promise<string> => (known ??= tokenFrom(credential));

  const subject: Subject = {
    url,
    client: newClient(),
    newClient,
    token,
    pollMs,
    ...(connection.identity === undefined ? {} : { identity: connection.identity }),

    async call(method, path, { token: given, headers, body } = {}) {
      const bearer = given === undefined ? await token() : given;
      return rawCall(addressed(url, path), {
        method,
        body,
        ...(agent === undefined ? {} : { agent }),
        headers: { ...(bearer === null ? {} : { Authorization: `Bearer ${bearer}` }), ...headers },
      });
    },

    fresh(length = 0) {
      const name = `${run}-${names.length + 1}`.padEnd(length, '-');
      names.push(name);
      return name;
    },

    async until(what, condition) {
      const end = performance.now() + connection.patienceMs;
      while (!(await condition())) {
        if (performance.now() > end) throw new Error(`${what}: not within ${connection.patienceMs} ms`);
        await delay(pollMs);
      }
    },
  };
  return { subject, names };
}

async function tokenFrom(credential: Connection['credential']): Promise<string> {
  const issued = await credential.getToken(tokenScope);
  if (issued === null) throw new Error('The credential has no token for a vault.');
  return issued.token;
}

function addressed(url: string, path: string): string {
  if (path.startsWith('https:')) return path;
  if (/[?&]api(-|%2D)version=/.test(path)) return url + path;
  return `${url}${path}${path.includes('?') ? '&' : '?'}api-version=${apiVersion}`;
}
