import { randomUUID } from 'node:crypto';
import type { Context } from 'hono';
import { EmulatorError } from '../emulator-error.ts';

// What Entra says no with, https://learn.microsoft.com/entra/identity-platform/reference-error-codes
// Client libraries and people match on the AADSTS number. No text contains what the client sent as a secret.

/** The `error` of OAuth 2.0 that goes with a number. */
type OAuthError =
  | 'invalid_client'
  | 'invalid_request'
  | 'invalid_scope'
  | 'unauthorized_client'
  | 'unsupported_grant_type';

function refuse(status: 400 | 401, code: OAuthError, number: number, text: string): EmulatorError {
  return new EmulatorError('REQUEST_REFUSED', `AADSTS${number}: ${text}`, { refusal: { status, code } });
}

export const unknownTenant = (tenant: string): EmulatorError =>
  refuse(
    400,
    'invalid_request',
    90002,
    `Tenant '${tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`,
  );

export const missingParameter = (name: string): EmulatorError =>
  refuse(400, 'invalid_request', 900144, `The request body must contain the following parameter: '${name}'.`);

export const unsupportedGrant = (grant: string): EmulatorError =>
  refuse(400, 'unsupported_grant_type', 70003, `The app requested an unsupported grant type '${grant}'.`);

export const invalidScope = (scope: string): EmulatorError =>
  refuse(
    400,
    'invalid_scope',
    1002012,
    `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).`,
  );

export const unknownClient = (clientId: string, tenant: string): EmulatorError =>
  refuse(
    400,
    'unauthorized_client',
    700016,
    `Application with identifier '${clientId}' was not found in the directory '${tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`,
  );

export const missingCredential = (): EmulatorError =>
  refuse(
    401,
    'invalid_client',
    7000218,
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  );

export const wrongSecret = (clientId: string): EmulatorError =>
  refuse(
    401,
    'invalid_client',
    7000215,
    `Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '${clientId}'.`,
  );

export const expiredSecret = (clientId: string): EmulatorError =>
  refuse(
    401,
    'invalid_client',
    7000222,
    `The provided client secret keys for app '${clientId}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.`,
  );

export const malformedAssertion = (): EmulatorError =>
  refuse(400, 'invalid_request', 50027, 'JWT token is invalid or malformed.');

export const unsignedAssertion = (): EmulatorError =>
  refuse(
    401,
    'invalid_client',
    700027,
    'The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found.]',
  );

export const staleAssertion = (): EmulatorError =>
  refuse(401, 'invalid_client', 700024, 'Client assertion is not within its valid time range.');

export const noFederation = (clientId: string): EmulatorError =>
  refuse(
    401,
    'invalid_client',
    70025,
    `The client '${clientId}' has no configured federated identity credentials.`,
  );

/** AADSTS700211, 700212 and 700213 are what AADSTS70021 became: one number for each claim. */
export const noMatchingFederation = (
  number: 700211 | 700212 | 700213,
  claim: string,
  value: string,
): EmulatorError =>
  refuse(
    401,
    'invalid_client',
    number,
    `No matching federated identity record found for presented assertion ${claim} '${value}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation`,
  );

/** Entra's answer to a request that it doesn't grant. */
export function answerRefusal(c: Context, error: Error, now: Date): Response {
  const refusal = error instanceof EmulatorError ? error.refusal : undefined;
  const message =
    refusal === undefined ? 'AADSTS90055: The emulator failed to serve this request.' : error.message;
  const number = Number(/^AADSTS(\d+)/.exec(message)?.[1] ?? 0);
  const timestamp = `${now.toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const trace_id = randomUUID();
  const correlation_id = c.req.header('client-request-id') ?? randomUUID();
  const body = {
    error: refusal?.code ?? 'server_error',
    error_description: `${message} Trace ID: ${trace_id} Correlation ID: ${correlation_id} Timestamp: ${timestamp}`,
    error_codes: [number],
    timestamp,
    trace_id,
    correlation_id,
    error_uri: `https://login.microsoftonline.com/error?code=${number}`,
  };
  return c.json(body, (refusal?.status ?? 500) as 400, { 'Cache-Control': 'no-store, no-cache' });
}
