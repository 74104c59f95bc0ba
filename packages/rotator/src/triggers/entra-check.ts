import { createRemoteJWKSet } from 'jose/jwks/remote';
import type { JWTPayload } from 'jose';
import type { Clock } from '../clock.ts';
import { issuersOfTenant, verifyEntraToken, type TokenFault } from '../entra-token.ts';
import type { AuthCheck, AuthVerdict } from './webhook-auth.ts';

/** A token of Entra in `Authorization: Bearer`, as Event Grid sends it to an endpoint that Entra protects. */
export interface EntraAuth {
  readonly kind: 'entra';
  /** Of the one tenant, in both forms that its tokens have: see `entraTenant`. */
  readonly issuers: readonly string[];
  /** What a token must be made out to: the application id or its URI. */
  readonly audiences: readonly string[];
  /** Where the tenant publishes its keys. */
  readonly keysUrl: URL;
  /** Who may deliver: the application of this id, or whoever was given this role. */
  readonly caller: { readonly appId: string } | { readonly role: string };
}

/** The application as which Event Grid delivers, in every tenant of Azure's public cloud. */
export const eventGridAppId = '4962773b-9cdb-44cf-a8bf-237846a00ab7';

/** The role that Microsoft's guide has one define for those who may subscribe. */
export const eventGridRole = 'AzureEventGridSecureWebhookSubscriber';

/** The issuers and keys of a tenant of Azure's public cloud. */
export function entraTenant(tenantId: string): Pick<EntraAuth, 'issuers' | 'keysUrl'> {
  return {
    issuers: issuersOfTenant(tenantId),
    keysUrl: new URL(`https://login.microsoftonline.com/${tenantId}/discovery/v2.0/keys`),
  };
}

/** As Microsoft's own libraries allow: a token that is refused for a slow clock is an event that is lost. */
const clockToleranceSeconds = 300;

export function entraCheck(auth: EntraAuth, clock: Clock): AuthCheck {
  const { issuers, audiences, keysUrl, caller } = auth;
  const keys = createRemoteJWKSet(keysUrl);
  const trust = { issuers, audiences, clockToleranceSeconds, clock };
  return async (headers) => {
    const token = /^Bearer +(?<token>[\w.-]+)$/i.exec(headers.get('authorization') ?? '')?.groups?.['token'];
    if (token === undefined) return refused(401, 'The request has no bearer token.');
    const verified = await verifyEntraToken(token, async () => keys, trust);
    return 'fault' in verified ? verdictOn(verified.fault) : mayDeliver(verified.claims, caller);
  };
}

function mayDeliver(payload: JWTPayload, caller: EntraAuth['caller']): AuthVerdict {
  if ('appId' in caller) {
    // Version 1.0 of Entra's tokens says `appid`, version 2.0 `azp`.
    const appId = payload['appid'] ?? payload['azp'];
    const same = typeof appId === 'string' && appId.toLowerCase() === caller.appId.toLowerCase();
    return same ? { allowed: true } : refused(403, 'The token is of another application.');
  }
  const { roles } = payload;
  const has = Array.isArray(roles) && roles.includes(caller.role);
  return has ? { allowed: true } : refused(403, `The token lacks the role ${caller.role}.`);
}

/** What went wrong, without a word of the token. */
function verdictOn(fault: TokenFault): AuthVerdict {
  if (fault.kind === 'expired') return refused(401, 'The token has expired.');
  if (fault.kind === 'claim') return refused(401, `The token's ${fault.claim} is not the expected one.`);
  if (fault.kind === 'signature') return refused(401, 'The token is not signed with a key of the tenant.');
  if (fault.kind === 'unreadable') return refused(401, 'The token is no RS256 JWT.');
  return refused(503, "The tenant's signing keys can't be read now.");
}

function refused(status: 401 | 403 | 503, reason: string): AuthVerdict {
  return { allowed: false, status, reason };
}
