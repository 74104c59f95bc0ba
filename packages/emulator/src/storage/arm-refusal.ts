import { randomUUID } from 'node:crypto';
import type { Context } from 'hono';
import { EmulatorError } from '../emulator-error.ts';
import type { Caller, TokenProblem } from '../identity/tokens.ts';

// What Azure Resource Manager says no with,
// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors

function refuse(status: 400 | 401 | 403 | 404 | 405, code: string, message: string): EmulatorError {
  return new EmulatorError('REQUEST_REFUSED', message, { refusal: { status, code } });
}

export const missingApiVersion = (): EmulatorError =>
  refuse(
    400,
    'MissingApiVersionParameter',
    'The api-version query parameter (?api-version=) is required for all requests.',
  );

export const invalidApiVersion = (version: string): EmulatorError =>
  refuse(
    400,
    'InvalidApiVersionParameter',
    `The api-version '${version}' is invalid. It must be a date: yyyy-MM-dd.`,
  );

/** `audiences` are those that would have been right. */
export function invalidToken(
  { problem, audience }: TokenProblem,
  audiences: readonly string[],
): EmulatorError {
  if (problem === 'missing')
    return refuse(
      401,
      'AuthenticationFailed',
      "Authentication failed. The 'Authorization' header is missing.",
    );
  if (problem === 'expired')
    return refuse(
      401,
      'ExpiredAuthenticationToken',
      'The access token expiry UTC time is earlier than current UTC time.',
    );
  if (problem === 'audience')
    return refuse(
      401,
      'InvalidAuthenticationTokenAudience',
      `The access token has been obtained for wrong audience or resource '${audience}'. ` +
        `It should exactly match with one of the allowed audiences '${audiences.join("','")}'.`,
    );
  if (problem === 'issuer')
    return refuse(
      401,
      'InvalidAuthenticationTokenTenant',
      'The access token is from the wrong issuer. It must match the tenant associated with this subscription.',
    );
  return refuse(401, 'InvalidAuthenticationToken', 'The access token is invalid.');
}

export const authorizationFailed = (caller: Caller, action: string, scope: string): EmulatorError =>
  refuse(
    403,
    'AuthorizationFailed',
    `The client '${caller.clientId}' with object id '${caller.objectId}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  );

export const resourceNotFound = (name: string, group: string): EmulatorError =>
  refuse(
    404,
    'ResourceNotFound',
    `The Resource 'Microsoft.Storage/storageAccounts/${name}' under resource group '${group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );

export const unknownPath = (): EmulatorError =>
  refuse(
    404,
    'InvalidResourceType',
    'This emulator has storage accounts only: their keys and their properties.',
  );

export const methodNotAllowed = (method: string): EmulatorError =>
  refuse(405, 'HttpMethodNotAllowed', `The http method '${method}' is not supported for this resource.`);

export const invalidContent = (): EmulatorError =>
  refuse(400, 'InvalidRequestContent', 'The request content was invalid and could not be deserialized.');

export const invalidKeyName = (): EmulatorError =>
  refuse(400, 'InvalidValuesForRequestParameters', 'Values for request parameters are invalid: keyName.');

/** ARM's answer to a request that it doesn't grant. `challenge` tells a client without a token where to get one. */
export function answerRefusal(c: Context, error: Error, challenge: string): Response {
  const refusal = error instanceof EmulatorError ? error.refusal : undefined;
  const message = refusal === undefined ? 'The emulator failed to serve this request.' : error.message;
  const code = refusal?.code ?? 'InternalServerError';
  const headers = { 'x-ms-request-id': randomUUID(), 'x-ms-failure-cause': 'gateway' };
  return c.json(
    { error: { code, message } },
    (refusal?.status ?? 500) as 400,
    refusal?.status === 401 ? { ...headers, 'WWW-Authenticate': challenge } : headers,
  );
}
