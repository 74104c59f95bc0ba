import { randomUUID } from 'node:crypto';
import type { Context } from 'hono';
import { EmulatorError } from '../emulator-error.ts';
import type { TokenProblem } from '../identity/tokens.ts';

// What Microsoft Graph says no with, https://learn.microsoft.com/graph/errors

function refuse(status: 400 | 401 | 403 | 404 | 405, code: string, message: string): EmulatorError {
  return new EmulatorError('REQUEST_REFUSED', message, { refusal: { status, code } });
}

const tokenTexts: Readonly<Record<TokenProblem['problem'], string>> = {
  missing: 'Access token is empty.',
  signature: 'Access token validation failure. Invalid signature.',
  issuer: 'Access token validation failure. Invalid issuer.',
  audience: 'Access token validation failure. Invalid audience.',
  expired: 'Lifetime validation failed, the token is expired.',
};

export const invalidToken = ({ problem }: TokenProblem): EmulatorError =>
  refuse(401, 'InvalidAuthenticationToken', tokenTexts[problem]);

export const insufficientPrivileges = (): EmulatorError =>
  refuse(403, 'Authorization_RequestDenied', 'Insufficient privileges to complete the operation.');

export const resourceNotFound = (id: string): EmulatorError =>
  refuse(
    404,
    'Request_ResourceNotFound',
    `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`,
  );

export const unknownSegment = (path: string): EmulatorError =>
  refuse(400, 'BadRequest', `Resource not found for the segment '${path}'.`);

export const methodNotAllowed = (): EmulatorError =>
  refuse(405, 'Request_BadRequest', 'Specified HTTP method is not allowed for the request target.');

export const unreadableBody = (): EmulatorError =>
  refuse(
    400,
    'BadRequest',
    'Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.',
  );

export const badRequest = (message: string): EmulatorError => refuse(400, 'Request_BadRequest', message);

export const noSuchPassword = (): EmulatorError => badRequest('No credentials found to be removed.');

export const unsupportedFilter = (): EmulatorError =>
  refuse(400, 'Request_UnsupportedQuery', 'Unsupported or invalid query filter clause specified.');

export const unknownProperty = (name: string): EmulatorError =>
  refuse(
    400,
    'BadRequest',
    `Parsing OData Select and Expand failed: Could not find a property named '${name}' on type 'microsoft.graph.application'.`,
  );

/** Graph's answer to a request that it doesn't grant. */
export function answerRefusal(c: Context, error: Error, now: Date): Response {
  const refusal = error instanceof EmulatorError ? error.refusal : undefined;
  const requestId = randomUUID();
  const innerError = {
    date: now.toISOString().slice(0, 19),
    'request-id': requestId,
    'client-request-id': c.req.header('client-request-id') ?? requestId,
  };
  const message = refusal === undefined ? 'The emulator failed to serve this request.' : error.message;
  const code = refusal?.code ?? 'InternalServerError';
  return c.json({ error: { code, message, innerError } }, (refusal?.status ?? 500) as 400, {
    'request-id': requestId,
    'client-request-id': innerError['client-request-id'],
  });
}
