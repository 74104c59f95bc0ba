import { createPrivateKey, createPublicKey } from 'node:crypto';
import { calculateJwkThumbprint, decodeJwt, errors, exportJWK, jwtVerify, SignJWT, type JWK } from 'jose';
import { expiredToken, missingToken, unknownSigningKey, wrongAudience, wrongIssuer } from './refusals.ts';

/** The identity a token speaks for. */
export interface Identity {
  readonly objectId: string;
  readonly clientId: string;
}

/** An access token. Times are epoch seconds. */
export interface IssuedToken {
  readonly token: string;
  readonly notBefore: number;
  readonly expiresOn: number;
}

export interface Tokens {
  issue(identity: Identity, audience: string): Promise<IssuedToken>;
  /** The object id of the caller. Throws the refusal that the vault answers with. */
  verify(authorization: string | undefined, audience: string): Promise<string>;
  /** The public half of the signing key, for others who check tokens. */
  readonly keys: { readonly keys: readonly JWK[] };
}

// As long as Entra's tokens for managed identities live. Clients cache them for that time.
const lifetimeSeconds = 24 * 60 * 60;
const cacheLimit = 1_000;

export async function createTokens(options: {
  readonly signingKey: string;
  readonly tenantId: string;
  /** Real time, also where the vault's clock is set: the client libraries cache tokens by real time. */
  readonly now: () => Date;
}): Promise<Tokens> {
  const privateKey = createPrivateKey(options.signingKey);
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const keyId = await calculateJwkThumbprint(jwk);
  const issuer = `https://sts.windows.net/${options.tenantId}/`;
  const seconds = (): number => Math.floor(options.now().getTime() / 1000);

  // A client sends the same token with every call; checking its signature once is enough.
  const verified = new Map<string, { readonly objectId: string; readonly expiresOn: number }>();

  const check = async (token: string, audience: string) => {
    try {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: ['RS256'],
        audience,
        issuer,
        currentDate: options.now(),
        requiredClaims: ['oid', 'exp'],
      });
      return { objectId: String(payload['oid']), expiresOn: payload.exp ?? 0 };
    } catch (cause) {
      throw refusalFor(cause, { token, audience, issuer });
    }
  };

  return {
    keys: { keys: [{ ...jwk, kid: keyId, use: 'sig', alg: 'RS256' }] },

    async issue(identity, audience) {
      const notBefore = seconds();
      const expiresOn = notBefore + lifetimeSeconds;
      const claims = {
        oid: identity.objectId,
        appid: identity.clientId,
        tid: options.tenantId,
        idtyp: 'app',
        ver: '1.0',
      };
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: keyId })
        .setIssuer(issuer)
        .setSubject(identity.objectId)
        .setAudience(audience)
        .setIssuedAt(notBefore)
        .setNotBefore(notBefore)
        .setExpirationTime(expiresOn)
        .sign(privateKey);
      return { token, notBefore, expiresOn };
    },

    async verify(authorization, audience) {
      const token = /^Bearer (?<token>\S+)$/i.exec(authorization ?? '')?.groups?.['token'];
      if (token === undefined) throw missingToken();
      const cacheKey = `${audience} ${token}`;
      const known = verified.get(cacheKey);
      if (known !== undefined && known.expiresOn > seconds()) return known.objectId;
      const fresh = await check(token, audience);
      const oldest = verified.size >= cacheLimit ? verified.keys().next().value : undefined;
      if (oldest !== undefined) verified.delete(oldest);
      verified.set(cacheKey, fresh);
      return fresh.objectId;
    },
  };
}

function refusalFor(
  cause: unknown,
  { token, audience, issuer }: { readonly token: string; readonly audience: string; readonly issuer: string },
) {
  if (cause instanceof errors.JWTExpired) return expiredToken();
  if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === 'aud')
    return wrongAudience(audience, String(decodeJwt(token).aud));
  if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === 'iss') return wrongIssuer(issuer);
  return unknownSigningKey();
}
