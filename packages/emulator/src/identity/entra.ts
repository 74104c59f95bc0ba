import { Hono } from 'hono';
import { answerRefusal } from './entra-refusal.ts';
import { createOpenId } from './openid.ts';
import { createTokenEndpoint, type TokenEndpointPorts } from './token-endpoint.ts';

/** What is to serve under this name through TLS. */
export const entraHosts = ['login.microsoftonline.com', 'login.windows.net'] as const;

/** The part of Microsoft Entra that gives workloads their tokens. Serve it under its own names and under a loopback URL. */
export function createEntra(
  ports: TokenEndpointPorts & {
    /** Real time, which dates refusals. */
    readonly now: () => Date;
  },
): Hono {
  const app = new Hono();
  app.route('/', createOpenId({ tenantId: ports.tenantId, keys: ports.tokens.keys }));
  app.route('/', createTokenEndpoint(ports));
  app.onError((error, c) => answerRefusal(c, error, ports.now()));
  return app;
}
