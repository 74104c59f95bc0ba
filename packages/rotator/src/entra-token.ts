// By their own names: the whole library takes longer to load than what is used of it.
import * as errors from 'jose/errors';
import { jwtVerify } from 'jose/jwt/verify';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import type { Clock } from './clock.ts';

/** Whose tokens are believed. */
export interface EntraTrust {
  /** Of the one tenant, in both forms that its tokens have: see `issuersOfTenant`. */
  readonly issuers: readonly string[];
  /** What a token must be made out to: any of these. */
  readonly audiences: readonly string[];
  readonly clockToleranceSeconds: number;
  readonly clock: Clock;
}

/** Why a token is not believed. That the keys can't be had is not the sender's fault. */
export type TokenFault =
  | { readonly kind: 'expired' | 'signature' | 'unreadable' | 'keys' }
  | { readonly kind: 'claim'; readonly claim: string };

export type Verified = { readonly claims: JWTPayload } | { readonly fault: TokenFault };

/** The issuers of a tenant of Azure's public cloud: version 1.0 of its tokens names one, version 2.0 the other. */
export function issuersOfTenant(tenantId: string): readonly [string, string] {
  return [`https://sts.windows.net/${tenantId}/`, `https://login.microsoftonline.com/${tenantId}/v2.0`];
}

const publicIssuer =
  /^https:\/\/(?:sts\.windows\.net\/(?<v1>[\w.-]+)\/|login\.microsoftonline\.com\/(?<v2>[\w.-]+)\/v2\.0)$/;

/** Both forms of an issuer of Azure's public cloud; any other issuer stands for itself alone. */
export function formsOfIssuer(issuer: string): readonly [string, ...string[]] {
  const { v1, v2 } = publicIssuer.exec(issuer)?.groups ?? {};
  const tenantId = v1 ?? v2;
  return tenantId === undefined ? [issuer] : issuersOfTenant(tenantId);
}

/** Checks signature, issuer, audience and expiry; who may do what is for the caller to judge by the claims. */
export async function verifyEntraToken(
  token: string,
  keys: () => Promise<JWTVerifyGetKey>,
  trust: EntraTrust,
): Promise<Verified> {
  try {
    const { payload } = await jwtVerify(token, await keys(), {
      algorithms: ['RS256'], // all that Entra signs with
      issuer: [...trust.issuers],
      audience: [...trust.audiences],
      requiredClaims: ['exp'],
      currentDate: new Date(trust.clock.now()),
      clockTolerance: trust.clockToleranceSeconds,
    });
    return { claims: payload };
  } catch (error) {
    return { fault: faultOf(error) };
  }
}

/** Only what speaks of the token itself is the sender's fault. */
function faultOf(error: unknown): TokenFault {
  if (error instanceof errors.JWTExpired) return { kind: 'expired' };
  if (error instanceof errors.JWTClaimValidationFailed) return { kind: 'claim', claim: error.claim };
  const untrusted =
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys;
  if (untrusted) return { kind: 'signature' };
  const unreadable =
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported;
  return { kind: unreadable ? 'unreadable' : 'keys' };
}
