import { Hono } from 'hono';
import type { Identity, Tokens } from './tokens.ts';

// The two ways in which Azure hands tokens to a workload, https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/
// Both are plain http on the loopback interface, as on Azure.

/** Where App Service and Functions tell a process to ask (`IDENTITY_ENDPOINT`). */
export const appServicePath = '/msi/token';
const imdsPath = '/metadata/identity/oauth2/token';

export function createManagedIdentity(options: {
  readonly tokens: Tokens;
  readonly identity: Identity;
  readonly identityHeader: string;
  readonly tenantId: string;
}): Hono {
  const { tokens, identity } = options;
  const app = new Hono();

  app.get(appServicePath, async (c) => {
    const fail = (status: 400 | 401, message: string) => c.json({ statusCode: status, message }, status);
    if (c.req.header('x-identity-header') !== options.identityHeader)
      return fail(
        401,
        'The X-IDENTITY-HEADER is missing or is not the one of this process (IDENTITY_HEADER).',
      );
    const request = readRequest(new URL(c.req.url).searchParams);
    if (request.resource === undefined) return fail(400, "The parameter 'resource' is required.");
    if (!selects(request, identity))
      return fail(
        400,
        'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.',
      );
    const issued = await tokens.issue(identity, request.resource);
    return c.json({
      access_token: issued.token,
      client_id: identity.clientId,
      expires_on: String(issued.expiresOn),
      resource: request.resource,
      token_type: 'Bearer',
    });
  });

  // Some clients join the authority host and this path with two slashes.
  app.on('GET', [imdsPath, `/${imdsPath}`], async (c) => {
    const fail = (error_description: string) => c.json({ error: 'invalid_request', error_description }, 400);
    if (c.req.header('metadata')?.toLowerCase() !== 'true')
      return fail('Required metadata header not specified');
    const request = readRequest(new URL(c.req.url).searchParams);
    if (request.resource === undefined) return fail("The parameter 'resource' is required.");
    if (!selects(request, identity)) return fail('Identity not found');
    const issued = await tokens.issue(identity, request.resource);
    const lifetime = String(issued.expiresOn - issued.notBefore);
    return c.json({
      access_token: issued.token,
      client_id: identity.clientId,
      expires_in: lifetime,
      ext_expires_in: lifetime,
      expires_on: String(issued.expiresOn),
      not_before: String(issued.notBefore),
      resource: request.resource,
      token_type: 'Bearer',
    });
  });

  app.get(`/${options.tenantId}/discovery/keys`, (c) => c.json(tokens.keys));
  return app;
}

interface TokenRequest {
  readonly resource: string | undefined;
  readonly clientId: string | null;
  readonly objectId: string | null;
  readonly resourceId: string | null;
}

function readRequest(query: URLSearchParams): TokenRequest {
  const resource = query.get('resource');
  return {
    // The audience has no trailing slash; vaults compare it letter by letter.
    resource: resource === null || !URL.canParse(resource) ? undefined : resource.replace(/\/+$/, ''),
    clientId: query.get('client_id'),
    objectId: query.get('object_id') ?? query.get('principal_id'),
    resourceId: query.get('mi_res_id') ?? query.get('msi_res_id'),
  };
}

/** There is one identity, assigned by the system: a request that asks for another one must not get its token. */
function selects(request: TokenRequest, identity: Identity): boolean {
  return (
    (request.clientId ?? identity.clientId) === identity.clientId &&
    (request.objectId ?? identity.objectId) === identity.objectId &&
    request.resourceId === null
  );
}
