import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import type { CallRecord } from './audit.ts';
import { EmulatorError } from './emulator-error.ts';
import type { FaultPlan, Operation } from './faults.ts';
import { badParameter, errorBody, refuse } from './refusals.ts';
import { checkName } from './secret-store.ts';

// How one call is served, whatever it wants: api-version, faults, effect, answer.

export interface VaultEnv {
  readonly Bindings: HttpBindings;
  readonly Variables: { readonly call: CallRecord };
}

/** A call as an operation sees it. */
export interface Call {
  /** Empty for lists. */
  readonly name: string;
  readonly version: string | undefined;
  readonly url: URL;
  readonly body: () => Promise<string>;
  /** Puts the version that the call turned out to be about into the audit log. */
  readonly concerns: (version: string) => void;
}

/** What a call does; the result is the body of the answer, and nothing means 204. */
export type Effect = (call: Call) => object | undefined | Promise<object | undefined>;

// Far above the largest secret with the largest tags.
const bodyLimitBytes = 1_048_576;

const apiVersions = new Set([
  '2016-10-01',
  '7.0',
  '7.1',
  '7.2',
  '7.3',
  '7.4',
  '7.5',
  '7.6-preview.2',
  '7.6',
  '2025-07-01',
  '2026-04-01',
]);

/** Makes the route handler of an operation. `closing` ends delays when the emulator stops. */
export function createServing(ports: { readonly faults: FaultPlan; readonly closing: AbortSignal }) {
  return (operation: Operation, effect: Effect) =>
    async (c: Context<VaultEnv>): Promise<Response> => {
      const record = c.get('call');
      const call = readCall(c, record, operation);
      for (const fault of ports.faults.take(operation, record.secret)) {
        record.fault = fault.kind;
        if (fault.kind === 'latency') await pause(fault.ms, ports.closing);
        if (fault.kind === 'status') throw injected(fault);
        if (fault.kind === 'hang') await clientGone(c);
        if (fault.kind === 'hang' || fault.kind === 'reset') {
          record.lostStatus = 0;
          return cut(c);
        }
        if (fault.kind === 'lostResponse') {
          record.lostStatus = await settle(effect, call);
          return cut(c);
        }
      }
      const body = await effect(call);
      return body === undefined ? c.body(null, 204) : answerJson(c, 200, body);
    };
}

/** The answer to a call that was refused, or that went wrong in here. */
export function answerError(c: Context<VaultEnv>, error: unknown, challenge: string): Response {
  const refusal = error instanceof EmulatorError ? error.refusal : undefined;
  // Anything else is a mistake of the emulator's own, and its text might quote what the client sent.
  if (refusal === undefined || !(error instanceof EmulatorError))
    return answerJson(c, 500, errorBody('InternalServerError', 'The emulator failed to serve this request.'));
  if (refusal.status === 401) c.header('WWW-Authenticate', challenge);
  if (refusal.retryAfterSeconds !== undefined) c.header('Retry-After', String(refusal.retryAfterSeconds));
  return answerJson(c, refusal.status, errorBody(refusal.code, error.message, refusal.innerCode));
}

function answerJson(c: Context<VaultEnv>, status: number, body: object): Response {
  c.header('Content-Type', 'application/json; charset=utf-8');
  return c.body(JSON.stringify(body), status as 200);
}

function readCall(c: Context<VaultEnv>, record: CallRecord, operation: Operation): Call {
  record.action = operation;
  const name = c.req.param('name');
  if (name !== undefined) {
    checkName(name);
    record.secret = name;
  }
  const url = new URL(c.req.url);
  const apiVersion = url.searchParams.get('api-version');
  if (apiVersion === null) throw badParameter("The query parameter 'api-version' is required.");
  if (!apiVersions.has(apiVersion))
    throw badParameter("The query parameter 'api-version' names an unsupported version.");
  const version = c.req.param('version');
  return {
    name: name ?? '',
    version,
    url,
    body: () => readBody(c),
    concerns: (id) => {
      record.version = id;
    },
  };
}

async function readBody(c: Context<VaultEnv>): Promise<string> {
  const size = c.req.header('content-length');
  if (size === undefined) throw refuse(411, 'LengthRequired', 'The request needs a Content-Length.');
  if (Number(size) > bodyLimitBytes)
    throw refuse(413, 'RequestEntityTooLarge', 'The request body is too large.');
  return c.req.text();
}

const faultCodes: Readonly<Record<number, readonly [code: string, message: string]>> = {
  401: ['Unauthorized', 'The token was refused by an injected fault.'],
  403: ['Forbidden', 'The caller is not authorized to perform this action.'],
  429: [
    'Throttled',
    'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
  ],
  500: ['InternalServerError', 'The service met an unexpected error.'],
  503: ['ServiceUnavailable', 'The service is temporarily unavailable.'],
};

function injected(fault: {
  readonly status: number;
  readonly code?: string;
  readonly retryAfterSeconds?: number;
}) {
  const [code, message] = faultCodes[fault.status] ?? ['InjectedFault', 'An injected fault.'];
  const wait = fault.retryAfterSeconds;
  return refuse(
    fault.status,
    fault.code ?? code,
    message,
    wait === undefined ? {} : { retryAfterSeconds: wait },
  );
}

/** Lets the call take effect and keeps only the status that the client will never see. */
async function settle(effect: Effect, call: Call): Promise<number> {
  try {
    return (await effect(call)) === undefined ? 204 : 200;
  } catch (error) {
    return error instanceof EmulatorError && error.refusal !== undefined ? error.refusal.status : 500;
  }
}

function cut(c: Context<VaultEnv>): Response {
  c.env.incoming.socket.destroy();
  return RESPONSE_ALREADY_SENT;
}

async function clientGone(c: Context<VaultEnv>): Promise<void> {
  if (!c.env.outgoing.closed) await once(c.env.outgoing, 'close');
}

async function pause(ms: number, closing: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal: closing });
  } catch (error) {
    if (!closing.aborted) throw error;
  }
}
