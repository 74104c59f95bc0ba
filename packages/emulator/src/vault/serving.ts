import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from 'hono';
import type { CallRecord } from './audit.ts';
import { EmulatorError } from '../emulator-error.ts';
import { answer, cut, type VaultEnv } from './answer.ts';
import type { FaultEffect, FaultPlan } from './faults.ts';
import type { Operation } from './operations.ts';
import { badParameter, refuse, unknownApiVersion } from './refusals.ts';
import { checkName } from './secret-store.ts';

// How one call is served, whatever it wants: api-version, faults, effect, answer.

/** A call as an operation sees it. */
export interface Call {
  /** Empty for lists. */
  readonly name: string;
  readonly version: string | undefined;
  readonly url: URL;
  readonly body: () => Promise<string>;
  /** Puts what the call turned out to be about into the audit log. */
  readonly concerns: (secret: string, version: string) => void;
}

/** What a call does; the result is the body of the answer, and nothing means 204. */
export type Effect = (call: Call) => object | undefined | Promise<object | undefined>;

// Far above the largest secret with the largest tags.
const bodyLimitBytes = 1_048_576;
// Far above the backup of 500 versions, which is the most that the service backs up.
const restoreLimitBytes = 128 * 1_048_576;

const newestApiVersion = '2026-04-01';
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
  newestApiVersion,
]);

/** What stands between a call and its effect. */
export interface Gate {
  readonly faults: FaultPlan;
  /** Refuses with 429. */
  readonly throttle: (operation: Operation) => void;
  /** Refuses with 403, and otherwise returns the caller's name. */
  readonly authorize: (record: CallRecord) => string;
  readonly vault: string;
  /** Ends delays when the emulator stops. */
  readonly closing: AbortSignal;
}

/** Makes the route handler of an operation. */
export function createServing(gate: Gate) {
  return (operation: Operation, effect: Effect) =>
    async (c: Context<VaultEnv>): Promise<Response> => {
      const record = c.get('call');
      const call = readCall(c, record, operation);
      const identity = gate.authorize(record);
      gate.throttle(operation);
      const faults = gate.faults.take({ operation, vault: gate.vault, secret: record.secret, identity });
      for (const fault of faults) {
        record.fault = fault.kind;
        if (fault.kind === 'latency') await pause(fault.ms, gate.closing);
        else return failAs(fault, { c, call, effect, record });
      }
      return answer(c, await effect(call));
    };
}

async function failAs(
  fault: Exclude<FaultEffect, { kind: 'latency' }>,
  {
    c,
    call,
    effect,
    record,
  }: {
    readonly c: Context<VaultEnv>;
    readonly call: Call;
    readonly effect: Effect;
    readonly record: CallRecord;
  },
): Promise<Response> {
  if (fault.kind === 'status') throw injected(fault);
  if (fault.kind === 'hang') await clientGone(c);
  record.lostStatus = fault.kind === 'lostResponse' ? await settle(effect, call) : 0;
  return cut(c);
}

function readCall(c: Context<VaultEnv>, record: CallRecord, operation: Operation): Call {
  record.operation = operation;
  const name = c.req.param('name');
  if (name !== undefined) {
    checkName(name);
    record.secret = name;
  }
  const url = c.get('url');
  const apiVersion = url.searchParams.get('api-version');
  if (apiVersion === null) throw badParameter("The query parameter 'api-version' is required.");
  if (!apiVersions.has(apiVersion)) throw unknownApiVersion(apiVersion, newestApiVersion);
  const version = c.req.param('version');
  return {
    name: name ?? '',
    version,
    url,
    body: () => readBody(c, operation === 'restoreSecret' ? restoreLimitBytes : bodyLimitBytes),
    concerns: (secret, id) => {
      record.secret = secret;
      record.version = id;
    },
  };
}

async function readBody(c: Context<VaultEnv>, limitBytes: number): Promise<string> {
  const size = c.req.header('content-length');
  const chunked = c.req.header('transfer-encoding') !== undefined;
  if (size === undefined && !chunked)
    throw refuse(411, 'LengthRequired', 'The request must be chunked or have a Content-Length.');
  if (Number(size ?? 0) > limitBytes) throw tooLarge();
  try {
    return chunked ? await readChunks(c.env.incoming, limitBytes) : await c.req.text();
  } catch (cause) {
    if (c.env.incoming.complete || cause instanceof EmulatorError) throw cause;
    throw refuse(400, 'BadRequest', 'The request body ended too soon.'); // and nobody is there to read it
  }
}

async function readChunks(incoming: AsyncIterable<Buffer>, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += chunk.length;
    if (bytes > limitBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const tooLarge = (): EmulatorError => refuse(413, 'RequestEntityTooLarge', 'The request body is too large.');

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
