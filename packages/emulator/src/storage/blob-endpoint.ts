import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Azurite } from './azurite.ts';

/** What is to be served under these names through TLS. */
export const isBlobHost = (host: string): boolean => /^[a-z0-9-]+\.blob\.core\.windows\.net$/i.test(host);

/**
 * Blobs under their real addresses. Azurite takes the account from the host, so the request is handed over as it
 * came in, and its body is never read here.
 */
export function createBlobEndpoint(azurite: Azurite): {
  readonly fetch: (request: Request, env: HttpBindings) => Response;
} {
  return {
    fetch(_request, { incoming, outgoing }) {
      azurite.serve(incoming, outgoing);
      return RESPONSE_ALREADY_SENT;
    },
  };
}
