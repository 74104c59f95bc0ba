import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import { EmulatorError } from '../emulator-error.ts';
import type { CallRecord } from './audit.ts';
import { errorBody } from './refusals.ts';

// What goes back to the client. It is written straight to the connection: every call passes here, and a web
// response with its streams would cost as much as all the rest.

export interface VaultEnv {
  readonly Bindings: HttpBindings;
  readonly Variables: {
    readonly call: CallRecord;
    readonly url: URL;
    /** Of every answer. */
    readonly headers: Readonly<Record<string, string>>;
  };
}

/** Without a body it is 204. */
export function answer(c: Context<VaultEnv>, body: object | undefined): Response {
  return body === undefined ? send(c, 204, undefined) : send(c, 200, body);
}

/** The answer to a call that was refused, or that went wrong in here. */
export function answerError(c: Context<VaultEnv>, error: unknown, challenge: string): Response {
  const refusal = error instanceof EmulatorError ? error.refusal : undefined;
  // Anything else is a mistake of the emulator's own, and its text might quote what the client sent.
  if (refusal === undefined || !(error instanceof EmulatorError))
    return send(c, 500, errorBody('InternalServerError', 'The emulator failed to serve this request.'));
  const { status, code, innerCode, retryAfterSeconds } = refusal;
  return send(c, status, errorBody(code, error.message, innerCode), {
    ...(status === 401 ? { 'WWW-Authenticate': challenge } : {}),
    ...(retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }),
  });
}

/** No answer at all. */
export function cut(c: Context<VaultEnv>): Response {
  c.env.incoming.socket.destroy();
  return RESPONSE_ALREADY_SENT;
}

function send(
  c: Context<VaultEnv>,
  status: number,
  body: object | undefined,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const text = body === undefined ? '' : JSON.stringify(body);
  const content =
    body === undefined
      ? {}
      : { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(text) };
  c.get('call').status = status;
  c.env.outgoing.writeHead(status, { ...c.get('headers'), ...headers, ...content });
  c.env.outgoing.end(text);
  return RESPONSE_ALREADY_SENT;
}
