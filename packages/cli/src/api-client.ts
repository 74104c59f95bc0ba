import { userInfo } from 'node:os';
import { problemDetails } from '@keyturn/rotator/api';
import type { z } from 'zod';
import { azureSignIn, askedScope, checkConfidential, checkScope, type SignIn } from './api-token.ts';
import { rotatorUrl, type AddressOptions } from './api-address.ts';
import { CliError, type CliErrorCode } from './cli-error.ts';
import { printable } from './printable.ts';

export interface ApiClientOptions extends AddressOptions {
  /** What a token is asked for; what the rotator names if absent. */
  readonly scope?: string;
}

/** A rotator that is running, as a command speaks to it. Every failure is a `CliError`. */
export interface ApiClient {
  readonly url: URL;
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T>;
  /** An answer that has begun and goes on. */
  stream(path: string, signal: AbortSignal): Promise<Response>;
}

const answerWithinMs = 15_000;

export async function openApiClient(
  options: ApiClientOptions,
  signIn: SignIn = azureSignIn(),
): Promise<ApiClient> {
  const url = await rotatorUrl(options);
  let { scope } = options;

  async function send(path: string, init: RequestInit): Promise<Response> {
    const response = await attempt(path, init);
    const asked = scope === undefined ? askedScope(response) : undefined;
    if (asked === undefined) return accepted(response);
    checkScope({ asked, url });
    scope = asked;
    await response.body?.cancel();
    return accepted(await attempt(path, init));
  }

  async function attempt(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('x-keyturn-user', encodeURIComponent(userName()));
    if (scope !== undefined) {
      checkConfidential(url);
      headers.set('authorization', `Bearer ${await signIn(scope)}`);
    }
    try {
      // A token or a reason that was meant for this address goes to no other.
      return await fetch(new URL(path, url), { ...init, headers, redirect: 'error' });
    } catch (cause) {
      throw unreachable(url, cause);
    }
  }

  async function accepted(response: Response): Promise<Response> {
    if (response.ok) return response;
    const body: unknown = await response.json().catch(() => undefined);
    const told = problemDetails.safeParse(body);
    if (!told.success) throw notARotator(url, `it answered ${response.status}`);
    const { code, detail, hint } = told.data;
    throw new CliError(
      code as CliErrorCode,
      printable(detail),
      hint === undefined ? {} : { hint: printable(hint) },
    );
  }

  async function json(response: Response): Promise<unknown> {
    if (response.status === 204) return undefined;
    try {
      return await response.json();
    } catch (cause) {
      if (cause instanceof SyntaxError) throw notARotator(url, 'its answer is not JSON');
      throw unreachable(url, cause);
    }
  }

  async function read<T>(response: Response, schema: z.ZodType<T>): Promise<T> {
    const found = schema.safeParse(await json(response));
    if (found.success) return found.data;
    const [issue] = found.error.issues;
    throw notARotator(url, `${issue?.path.join('.')}: ${issue?.message}`);
  }

  const inTime = () => ({ signal: AbortSignal.timeout(answerWithinMs) });
  return {
    url,
    get: async (path, schema) => read(await send(path, inTime()), schema),
    async post(path, body, schema) {
      const headers = { 'content-type': 'application/json' };
      const init = { ...inTime(), method: 'POST', headers, body: JSON.stringify(body) };
      return read(await send(path, init), schema);
    },
    stream: (path, signal) => send(path, { signal }),
  };
}

/** A user without an entry in the system's list has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}

function unreachable({ origin }: URL, cause: unknown): CliError {
  const { name, cause: deeper } = cause as { name?: string; cause?: { code?: string; message?: string } };
  const late = name === 'TimeoutError' ? `no answer within ${answerWithinMs / 1000} s` : undefined;
  const why = late ?? deeper?.code ?? deeper?.message ?? 'the connection broke';
  return new CliError('ROTATOR_UNREACHABLE', `No rotator answers at ${origin} (${printable(why)}).`, {
    cause,
    hint: 'Name the address of a running one with --url, or its configuration with --config.',
  });
}

function notARotator({ origin }: URL, why: string): CliError {
  return new CliError(
    'NOT_A_ROTATOR',
    `What answers at ${origin} is no Keyturn rotator, or of another version: ${printable(why)}.`,
    { hint: 'Look at the address, and use the `keyturn` of the version that is running there.' },
  );
}
