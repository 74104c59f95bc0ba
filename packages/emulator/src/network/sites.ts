import type { HttpBindings } from '@hono/node-server';

/** What answers at one https name, or at several. */
export interface Site {
  readonly serves: (host: string) => boolean;
  readonly fetch: (request: Request, env: HttpBindings, host: string) => Response | Promise<Response>;
}

/** One server for all https names: the request's host decides. What no site serves goes to the last one. */
export function createSites(
  sites: readonly [...Site[], Site],
): (request: Request, env: unknown) => Response | Promise<Response> {
  const fallback = sites.at(-1) as Site;
  return (request, env) => {
    const bindings = env as HttpBindings;
    const host = (bindings.incoming.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
    const site = sites.find(({ serves }) => serves(host)) ?? fallback;
    return site.fetch(request, bindings, host);
  };
}

/** A site under fixed names. */
export function siteAt(
  hosts: readonly string[],
  app: { fetch(request: Request): Response | Promise<Response> },
): Site {
  return { serves: (host) => hosts.includes(host), fetch: (request) => app.fetch(request) };
}
