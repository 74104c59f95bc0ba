import { Hono } from 'hono';
import { unknownTenant } from './entra-refusal.ts';
import type { Tokens } from './tokens.ts';

// Where verifiers of tokens and client libraries find what there is, OpenID Connect Discovery 1.0. The addresses
// are on the host that was asked, so that it works under https://login.microsoftonline.com and under a loopback URL.

const sharedTenants = ['common', 'organizations'];

export function createOpenId(options: { readonly tenantId: string; readonly keys: Tokens['keys'] }): Hono {
  const { tenantId } = options;
  const app = new Hono();

  const checkTenant = (tenant: string): void => {
    if (tenant !== tenantId && !sharedTenants.includes(tenant)) throw unknownTenant(tenant);
  };

  app.get('/common/discovery/instance', (c) => {
    const { origin } = new URL(c.req.url);
    return c.json({
      tenant_discovery_endpoint: `${origin}/${tenantId}/v2.0/.well-known/openid-configuration`,
      'api-version': '1.1',
      metadata: [
        {
          preferred_network: 'login.microsoftonline.com',
          preferred_cache: 'login.windows.net',
          aliases: [
            'login.microsoftonline.com',
            'login.windows.net',
            'login.microsoft.com',
            'sts.windows.net',
          ],
        },
      ],
    });
  });

  // Tokens for Azure's own services are of version 1.0 whichever endpoint issues them, and so is their issuer.
  for (const [prefix, issuer, version] of [
    ['', `https://sts.windows.net/${tenantId}/`, ''],
    ['/v2.0', `https://login.microsoftonline.com/${tenantId}/v2.0`, '/v2.0'],
  ] as const) {
    app.get(`/:tenant${prefix}/.well-known/openid-configuration`, (c) => {
      const tenant = c.req.param('tenant') ?? '';
      checkTenant(tenant);
      const base = `${new URL(c.req.url).origin}/${tenant}`;
      return c.json({
        issuer,
        token_endpoint: `${base}/oauth2/v2.0/token`,
        // Nobody signs in here, but client libraries insist on the entry.
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        jwks_uri: `${base}/discovery${version}/keys`,
        token_endpoint_auth_methods_supported: [
          'client_secret_post',
          'client_secret_basic',
          'private_key_jwt',
        ],
        grant_types_supported: ['client_credentials'],
        response_types_supported: ['code'],
        subject_types_supported: ['pairwise'],
        id_token_signing_alg_values_supported: ['RS256'],
        tenant_region_scope: 'EU',
        cloud_instance_name: 'microsoftonline.com',
        cloud_graph_host_name: 'graph.windows.net',
        msgraph_host: 'graph.microsoft.com',
      });
    });

    app.get(`/:tenant/discovery${version}/keys`, (c) => {
      checkTenant(c.req.param('tenant') ?? '');
      return c.json(options.keys);
    });
  }
  return app;
}
