import { createHmac } from 'node:crypto';
import { Hono } from 'hono';
import type { Directory, Identity } from './directory.ts';
import type { Tokens } from './tokens.ts';

// The two ways in which Azure hands tokens to a workload, https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/
// Both are plain http on the loopback interface, as on Azure.

/** Where App Service and Functions tell a process to ask (`IDENTITY_ENDPOINT`). */
export const appServicePath = '/msi/token';
const imdsPath = '/metadata/identity/oauth2/token';
// Some clients join the authority host and this path with two slashes, and some end it with one.
const imdsPaths = [imdsPath, `${imdsPath}/`, `/${imdsPath}`, `/${imdsPath}/`];
const appServiceVersion = '2019-08-01';
const imdsVersions = ['2021-02-01', '2019-08-15', '2019-08-01', '2018-10-01', '2018-02-01'];

/**
 * The path under which a metadata service for this one identity is reached; a request that names no identity
 * gets its token. Put the server's address before it for `AZURE_POD_IDENTITY_AUTHORITY_HOST`.
 */
export const imdsPathOf = (name: string): string => `/as/${encodeURIComponent(name)}`;

/** A header value (`IDENTITY_HEADER`) for each identity. It follows from the key, so it survives a restart. */
export const identityHeaders =
  (signingKey: string) =>
  (name: string): string =>
    createHmac('sha256', signingKey).update(`identity header of ${name}`).digest('base64url');

export function createManagedIdentity(options: {
  readonly tokens: Tokens;
  readonly directory: Directory;
  /** Tells which process asks: each identity has a value of its own. */
  readonly headerOf: (name: string) => string;
  /** Who the machine is when several identities are assigned by the system. */
  readonly defaultName?: string;
}): Hono {
  const { tokens, directory } = options;
  const app = new Hono();

  app.get(appServicePath, async (c) => {
    const fail = (status: 400 | 401, message: string) => c.json({ statusCode: status, message }, status);
    const header = c.req.header('x-identity-header');
    const owner = header && directory.find(({ name }) => options.headerOf(name) === header);
    if (!owner)
      return fail(401, 'The X-IDENTITY-HEADER is missing or is not the one of a process (IDENTITY_HEADER).');
    const request = readRequest(new URL(c.req.url).searchParams);
    if (request.apiVersion !== appServiceVersion)
      return fail(400, `The api-version must be ${appServiceVersion}.`);
    if (request.resource === undefined) return fail(400, "The parameter 'resource' is required.");
    const selected = select(directory, request);
    if (selected === undefined) return fail(400, noSuchIdentity);
    // A process has no identity of its own unless the system assigned it one.
    const identity = selected === 'own' ? owner : selected;
    if (selected === 'own' && !owner.systemAssigned) return fail(400, noSystemIdentity);
    const issued = await tokens.issue(identity, request.resource);
    return c.json({
      access_token: issued.token,
      client_id: identity.clientId,
      expires_on: String(issued.expiresOn),
      resource: request.resource,
      token_type: 'Bearer',
    });
  });

  const metadataService = (own: (name: string) => Identity | undefined) => {
    const machine = new Hono();
    machine.on('GET', imdsPaths, async (c) => {
      const fail = (error_description: string) =>
        c.json({ error: 'invalid_request', error_description }, 400);
      if (c.req.header('metadata')?.toLowerCase() !== 'true')
        return fail('Required metadata header not specified');
      const request = readRequest(new URL(c.req.url).searchParams);
      if (!imdsVersions.includes(request.apiVersion)) return c.json(badImdsVersion, 400);
      if (request.resource === undefined) return fail("Required audience parameter 'resource' not specified");
      const selected = select(directory, request);
      const identity = selected === 'own' ? own(c.req.param('name') ?? '') : selected;
      if (identity === undefined) return fail('Identity not found');
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
    return machine;
  };

  app.route(
    '/as/:name',
    metadataService((name) => directory.find((identity) => identity.name === name)),
  );
  app.route(
    '/',
    metadataService(
      () =>
        directory.find(({ name, systemAssigned }) => systemAssigned && name === options.defaultName) ??
        directory.find(({ systemAssigned }) => systemAssigned),
    ),
  );
  return app;
}

// The texts are the services' own.
const noSuchIdentity =
  'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.';
const noSystemIdentity = 'Unable to load the proper Managed Identity.';
const badImdsVersion = {
  error: 'Bad request. api-version is invalid or was not specified in the request.',
  'newest-versions': imdsVersions.slice(0, 3),
};

interface TokenRequest {
  readonly apiVersion: string;
  readonly resource: string | undefined;
  readonly clientId: string | undefined;
  readonly objectId: string | undefined;
  readonly resourceId: string | undefined;
}

function readRequest(query: URLSearchParams): TokenRequest {
  const read = (...names: readonly string[]): string | undefined =>
    names
      .map((name) => query.get(name))
      .find((value) => value !== null)
      ?.toLowerCase();
  return {
    apiVersion: read('api-version') ?? '',
    // The audience has no trailing slash; vaults compare it letter by letter.
    resource: query.get('resource')?.replace(/\/+$/, '') || undefined,
    clientId: read('client_id'),
    objectId: read('object_id', 'principal_id'),
    resourceId: read('mi_res_id', 'msi_res_id'),
  };
}

/** The identity that the request asks for by one or more of its ids; 'own' when it asks for none. */
function select(directory: Directory, request: TokenRequest): Identity | 'own' | undefined {
  const { clientId, objectId, resourceId } = request;
  if (clientId === undefined && objectId === undefined && resourceId === undefined) return 'own';
  return directory.find(
    (identity) =>
      (clientId ?? identity.clientId) === identity.clientId &&
      (objectId ?? identity.objectId) === identity.objectId &&
      (resourceId ?? identity.resourceId.toLowerCase()) === identity.resourceId.toLowerCase(),
  );
}
