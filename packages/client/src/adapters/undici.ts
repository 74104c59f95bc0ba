import { Agent, Dispatcher, type buildConnector } from 'undici';
import { follow } from '../follow.ts';
import type { Secret } from '../secret.ts';
import type { Secrets } from '../secrets.ts';
import { SecretsError } from '../secrets-error.ts';
import { keyAndCertificate } from './pem.ts';

/** How a token goes along with requests. */
export interface TokenOptions {
  /** Where the token may be sent: `https://api.example.com`. Requests to other origins, redirects too, go without. */
  readonly origins: readonly string[];
  /** Default `authorization`. */
  readonly header?: string;
  /** What the header holds; default `Bearer ` and the value, or the value alone in another header than `authorization`. */
  readonly format?: (value: string) => string;
  /** What sends the requests; default an `Agent` of its own, which `close` closes. */
  readonly dispatcher?: Dispatcher;
}

/**
 * A dispatcher for undici's `request` and `fetch` that adds the newest value of a secret, a bearer token or an API
 * key, to each request. The version counts as used until the response has ended. A 401 reads past the cache and
 * sends the request once more, unless its body was a stream, which can't be sent twice.
 *
 * @example
 * import { fetch } from 'undici'; // Node's own speaks to dispatchers of another version
 * const dispatcher = createTokenDispatcher(secrets, 'stripe-key', { origins: ['https://api.stripe.com'] });
 * const answer = await fetch('https://api.stripe.com/v1/balance', { dispatcher });
 */
export function createTokenDispatcher<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  options: TokenOptions,
): Dispatcher {
  const { header = 'authorization', dispatcher = new Agent() } = options;
  const isBearer = header.toLowerCase() === 'authorization';
  const { format = (value: string) => (isBearer ? `Bearer ${value}` : value) } = options;
  const origins = new Set(options.origins.map((origin) => new URL(origin).origin));

  return dispatcher.compose((dispatch) => (request, handler) => {
    if (!request.origin || !origins.has(new URL(request.origin).origin)) return dispatch(request, handler);
    requireHandler(handler);
    let attempts = 0;
    const send = (secret: Secret): Promise<unknown> => {
      attempts += 1;
      const headers = withHeader(request.headers, header, format(secret.reveal()));
      const mayRepeat = attempts === 1 && isRepeatable(request.body);
      return new Promise((resolve, reject) => {
        dispatch({ ...request, headers }, overheard(handler, { mayRepeat, ended: resolve, failed: reject }));
      }).catch((failure: Failure) => {
        // It can't be sent again, but the next one is to know better.
        if (failure.isUnauthorized && !failure.mayRepeat) void refusedOnce(secrets, secret);
        throw failure;
      });
    };
    secrets
      .use(name, send, {
        refused: (failure) => (failure as Failure).isUnauthorized && (failure as Failure).mayRepeat,
      })
      .catch((failure: unknown) => deliver(failure, handler));
    return true;
  });
}

/** How a client certificate is used. */
export interface CertificateOptions extends Omit<Agent.Options, 'connect'> {
  /** Where a new certificate is tried before it is used: a `HEAD` request to this URL; any answer will do. */
  readonly proveAt: string;
  readonly connect?: buildConnector.BuildOptions;
}

/**
 * A dispatcher that authenticates with the newest client certificate: new connections use it, and those of the old
 * one are closed when their requests are through. The value is a PEM text with the private key and the chain, or a
 * PKCS#12 in base64, as Key Vault gives certificates out.
 *
 * @example
 * const dispatcher = createCertificateDispatcher(secrets, 'orders-cert', { proveAt: 'https://ledger.internal/health' });
 */
export function createCertificateDispatcher<Name extends string>(
  secrets: Secrets<Name>,
  name: NoInfer<Name>,
  { proveAt, ...options }: CertificateOptions,
): Dispatcher {
  const at = new URL(proveAt);
  const agents = follow<Agent, Name>(secrets, name, {
    open: (secret) =>
      new Agent({ ...options, connect: { ...options.connect, ...keyAndCertificate(secret) } }),
    async prove(agent) {
      const { body } = await agent.request({
        origin: at.origin,
        path: at.pathname + at.search,
        method: 'HEAD',
      });
      await body.dump();
    },
    close: (agent) => agent.close(),
    refused: isCertificateRefused,
  });
  return new Following(agents);
}

class Following extends Dispatcher {
  readonly #agents: ReturnType<typeof follow<Agent>>;

  constructor(agents: ReturnType<typeof follow<Agent>>) {
    super();
    this.#agents = agents;
  }

  override dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    requireHandler(handler);
    let attempts = 0;
    this.#agents
      .use((agent) => {
        attempts += 1;
        const mayRepeat = attempts === 1 && isRepeatable(request.body);
        return new Promise((resolve, reject) => {
          agent.dispatch(request, overheard(handler, { mayRepeat, ended: resolve, failed: reject }));
        });
      })
      .catch((failure: unknown) => deliver(failure, handler));
    return true;
  }

  override async close(callback?: () => void): Promise<void> {
    await this.#agents.close();
    callback?.();
  }

  override async destroy(...args: readonly unknown[]): Promise<void> {
    const callback = args.find((arg) => typeof arg === 'function') as (() => void) | undefined;
    const agents = this.#agents.open.map((agent) => agent.destroy());
    await Promise.all([...agents, this.#agents.close()]);
    callback?.();
  }
}

/** Node's own `fetch` calls for events of an older undici, and would wait for them for ever. */
function requireHandler(handler: Dispatcher.DispatchHandler): void {
  if (typeof handler.onRequestStart === 'function') return;
  throw new SecretsError(
    'OPTIONS_INVALID',
    "This dispatcher works with the `fetch` and `request` of the package undici, not with Node's own `fetch`. Import them from undici.",
  );
}

/** A request that came to no good end. */
class Failure extends Error {
  readonly isUnauthorized: boolean;
  /** Nothing of it has reached whoever sent it, and its body can be sent again. */
  readonly mayRepeat: boolean;
  /** Tells whoever sent it, after all. */
  readonly deliver: () => void;

  constructor(
    at: { readonly isUnauthorized: boolean; readonly mayRepeat: boolean; readonly deliver: () => void },
    cause?: Error,
  ) {
    super(cause?.message ?? 'HTTP 401', { cause });
    this.isUnauthorized = at.isUnauthorized;
    this.mayRepeat = at.mayRepeat;
    this.deliver = at.deliver;
  }
}

function deliver(failure: unknown, handler: Dispatcher.DispatchHandler): void {
  if (failure instanceof Failure) failure.deliver();
  else handler.onResponseError?.(noController, failure as Error); // there was no secret to send it with
}

async function refusedOnce(secrets: Secrets<never>, { name, version }: Secret): Promise<void> {
  const hold = secrets.hold(name as never, version);
  await hold.refused();
  hold.release();
}

const keptOfAnswer = 65_536;

/** Hands a request's events on to whoever sent it, and says how it ended. A 401 is kept back if it may be repeated. */
function overheard(
  handler: Dispatcher.DispatchHandler,
  at: {
    readonly mayRepeat: boolean;
    readonly ended: (nothing: undefined) => void;
    readonly failed: (failure: Failure) => void;
  },
): Dispatcher.DispatchHandler {
  let kept: (() => void)[] | undefined;
  let keptBytes = 0;
  let status: number | undefined;
  const handOn = (): void => {
    for (const event of kept ?? []) event();
    kept = undefined;
  };
  const pass = (event: () => void): void => {
    if (kept) kept.push(event);
    else event();
  };
  return {
    onRequestStart: (controller, context: unknown) => handler.onRequestStart?.(controller, context),
    onRequestUpgrade(...args) {
      handler.onRequestUpgrade?.(...args);
      at.ended(undefined);
    },
    onResponseStart(...args) {
      status = args[1];
      if (status === 401 && at.mayRepeat) kept = [];
      pass(() => handler.onResponseStart?.(...args));
    },
    onResponseData(...args) {
      pass(() => handler.onResponseData?.(...args));
      keptBytes += args[1].length;
      if (keptBytes > keptOfAnswer) handOn(); // nobody needs that much to say no
    },
    onResponseEnd(...args) {
      pass(() => handler.onResponseEnd?.(...args));
      if (status !== 401) return saysNothing(status) ? at.failed(passed) : at.ended(undefined);
      at.failed(new Failure({ isUnauthorized: true, mayRepeat: kept !== undefined, deliver: handOn }));
    },
    onResponseError(controller, error) {
      const hasBegun = status !== undefined;
      const tell = (): void => {
        handOn();
        handler.onResponseError?.(controller, error);
      };
      at.failed(
        new Failure({ isUnauthorized: false, mayRepeat: at.mayRepeat && !hasBegun, deliver: tell }, error),
      );
    },
  };
}

/** An answer that whoever stands before the API may have given: no sign that the API took the token. */
function saysNothing(status = 0): boolean {
  return status === 403 || status === 407 || status === 429 || status >= 500;
}

/** Whoever sent the request has its answer. */
const passed = new Failure({ isUnauthorized: false, mayRepeat: false, deliver() {} });

/** A body that was consumed can't be sent again. */
function isRepeatable(body: Dispatcher.DispatchOptions['body']): boolean {
  return body === undefined || body === null || typeof body === 'string' || ArrayBuffer.isView(body);
}

function withHeader(
  headers: Dispatcher.DispatchOptions['headers'],
  name: string,
  value: string,
): Record<string, string | string[] | undefined> {
  const others = entriesOf(headers).filter(([key]) => key.toLowerCase() !== name.toLowerCase());
  return { ...Object.fromEntries(others), [name]: value };
}

function entriesOf(
  headers: Dispatcher.DispatchOptions['headers'],
): [string, string | string[] | undefined][] {
  if (!headers) return [];
  if (Array.isArray(headers)) {
    // Names and values by turns.
    return headers.flatMap((key, index) =>
      index % 2 === 0 ? [[key, headers[index + 1]] as [string, string]] : [],
    );
  }
  if (Symbol.iterator in headers) return [...(headers as Iterable<[string, string]>)];
  return Object.entries(headers as Record<string, string>);
}

// The request never began, so there is nothing to pause or to abort.
const noController: Dispatcher.DispatchController = {
  aborted: false,
  paused: false,
  reason: null,
  rawHeaders: null,
  rawTrailers: null,
  abort() {},
  pause() {},
  resume() {},
};

/** A server that doesn't take the certificate ends the handshake with an alert. */
function isCertificateRefused(error: unknown): boolean {
  const { mayRepeat = true, cause: original = error } = error as { mayRepeat?: boolean; cause?: unknown };
  const { code, cause } = original as { code?: unknown; cause?: { code?: unknown } };
  return (
    mayRepeat &&
    [code, cause?.code].some((one) => typeof one === 'string' && /^ERR_SSL_.*(ALERT|CERTIFICATE)/.test(one))
  );
}
