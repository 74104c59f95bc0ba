import { Hono } from 'hono';
import type { Application, Applications } from '../graph/applications.ts';
import {
  expiredSecret,
  invalidScope,
  missingCredential,
  missingParameter,
  noFederation,
  unknownClient,
  unknownTenant,
  unsupportedGrant,
  wrongSecret,
} from './entra-refusal.ts';
import type { Federation } from './federation.ts';
import type { Directory, Identity } from './directory.ts';
import type { Caller, Tokens } from './tokens.ts';

// The client credentials grant of Entra's v2.0 endpoint,
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
// Real ones live between 60 and 90 minutes.
const lifetimeSeconds = 3_600;

export interface TokenEndpointPorts {
  readonly tenantId: string;
  readonly tokens: Tokens;
  readonly directory: Directory;
  readonly applications: Applications;
  readonly federation: Federation;
}

export function createTokenEndpoint(ports: TokenEndpointPorts): Hono {
  const { tenantId } = ports;
  const app = new Hono();

  app.post('/:tenant/oauth2/v2.0/token', async (c) => {
    const tenant = c.req.param('tenant');
    if (tenant !== tenantId) throw unknownTenant(tenant);
    const request = readRequest(await c.req.text(), c.req.header('authorization'));
    const caller = await authenticate(request, ports);
    const audience = request.scope.slice(0, -'/.default'.length);
    const { token } = await ports.tokens.issue(caller, audience, { lifetimeSeconds });
    const expires = lifetimeSeconds - 1;
    return c.json(
      { token_type: 'Bearer', expires_in: expires, ext_expires_in: expires, access_token: token },
      200,
      { 'Cache-Control': 'no-store, no-cache', Pragma: 'no-cache' },
    );
  });
  return app;
}

interface TokenRequest {
  readonly clientId: string;
  readonly scope: string;
  readonly secret: string | undefined;
  readonly assertion: string | undefined;
}

function readRequest(body: string, authorization: string | undefined): TokenRequest {
  const form = new URLSearchParams(body);
  const grant = form.get('grant_type');
  if (!grant) throw missingParameter('grant_type');
  if (grant !== 'client_credentials') throw unsupportedGrant(grant);
  const basic = readBasic(authorization);
  const clientId = form.get('client_id') ?? basic?.clientId;
  if (!clientId) throw missingParameter('client_id');
  const scope = form.get('scope');
  if (!scope) throw missingParameter('scope');
  if (!/^\S+\/\.default$/.test(scope)) throw invalidScope(scope);
  const assertion = form.get('client_assertion_type') === assertionType ? form.get('client_assertion') : null;
  return {
    clientId: clientId.toLowerCase(),
    scope,
    secret: form.get('client_secret') ?? basic?.secret,
    assertion: assertion ?? undefined,
  };
}

/** HTTP Basic, where both parts are form-encoded first (RFC 6749, 2.3.1). */
function readBasic(authorization: string | undefined) {
  const encoded = /^Basic (?<encoded>\S+)$/i.exec(authorization ?? '')?.groups?.['encoded'];
  const text = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon === -1) return undefined;
  const decode = (part: string) => new URLSearchParams(`value=${part}`).get('value') ?? '';
  return { clientId: decode(text.slice(0, colon)), secret: decode(text.slice(colon + 1)) };
}

async function authenticate(request: TokenRequest, ports: TokenEndpointPorts): Promise<Caller> {
  const { clientId, secret, assertion } = request;
  const application = ports.applications.find(({ appId }) => appId === clientId);
  const identity = ports.directory.find((one) => one.clientId === clientId);
  if (application === undefined && identity === undefined) throw unknownClient(clientId, ports.tenantId);
  if (assertion !== undefined) {
    if (identity === undefined) throw noFederation(clientId);
    await ports.federation.check(assertion, identity);
    return identity;
  }
  if (secret === undefined) throw missingCredential();
  const outcome = ports.applications.checkSecret(clientId, secret);
  if (outcome === 'expired') throw expiredSecret(clientId);
  if (outcome === 'wrong') throw wrongSecret(clientId);
  return callerOf(application, identity, clientId);
}

/** An application acts as its service principal, or as the identity with its client id, which can have roles. */
const callerOf = (
  application: Application | undefined,
  identity: Identity | undefined,
  clientId: string,
): Caller => identity ?? { objectId: application?.servicePrincipalId ?? clientId, clientId };
