import type { JWTPayload } from 'jose';
import * as errors from 'jose/errors';
import { decodeJwt } from 'jose/jwt/decode';
import {
  expiredToken,
  missingToken,
  unknownSigningKey,
  wrongAudience,
  wrongIssuer,
} from '../vault/refusals.ts';
import { openSigningKey, type SigningKey } from './signing-key.ts';

/** Whom a token speaks for. */
export interface Caller {
  readonly objectId: string;
  readonly clientId: string;
}

/** An access token. Times are epoch seconds. */
export interface IssuedToken {
  readonly token: string;
  readonly notBefore: number;
  readonly expiresOn: number;
}

/** Why a token is worth nothing. Every service has words of its own for it. */
export interface TokenProblem {
  readonly problem: 'missing' | 'signature' | 'issuer' | 'audience' | 'expired';
  /** What the token is made out to, when that is the problem. */
  readonly audience?: string;
}

export interface Tokens {
  /** Lives for 24 hours, as Entra's tokens for managed identities do, unless told otherwise. */
  issue(
    caller: Caller,
    audience: string,
    details?: { readonly claims?: JWTPayload; readonly lifetimeSeconds?: number },
  ): Promise<IssuedToken>;
  /** Whom the `Authorization` header speaks for at a service that answers to these audiences. */
  examine(authorization: string | undefined, audiences: readonly string[]): Promise<Caller | TokenProblem>;
  /** The same for a vault. Throws the refusal that a vault answers with. */
  verify(authorization: string | undefined, audience: string): Promise<Caller>;
  /** The public half of the signing key, for others who check tokens. */
  readonly keys: SigningKey['keys'];
}

export const managedIdentityLifetimeSeconds = 24 * 60 * 60;
const cacheLimit = 1_000;

export async function createTokens(options: {
  readonly signingKey: string;
  readonly tenantId: string;
  /** Real time, also where the vault's clock is set: the client libraries cache tokens by real time. */
  readonly now: () => Date;
}): Promise<Tokens> {
  const { tenantId } = options;
  const key = await openSigningKey(options.signingKey);
  const issuer = `https://sts.windows.net/${tenantId}/`;
  const seconds = (): number => Math.floor(options.now().getTime() / 1000);

  // A client sends the same header with every call; checking its signature once is enough.
  const verified = new Map<string, { caller: Caller; audience: string; expiresOn: number }>();

  const remember = (authorization: string, claims: JWTPayload): Caller => {
    const caller = { objectId: String(claims['oid']), clientId: String(claims['appid']) };
    const oldest = verified.size >= cacheLimit ? verified.keys().next().value : undefined;
    if (oldest !== undefined) verified.delete(oldest);
    verified.set(authorization, { caller, audience: String(claims.aud), expiresOn: claims.exp ?? 0 });
    return caller;
  };

  const examine: Tokens['examine'] = async (authorization = '', audiences) => {
    const known = verified.get(authorization);
    if (known !== undefined && audiences.includes(known.audience) && known.expiresOn > seconds())
      return known.caller;
    const token = /^Bearer (?<token>\S+)$/i.exec(authorization)?.groups?.['token'];
    if (token === undefined) return { problem: 'missing' };
    const requiredClaims = ['oid', 'appid', 'exp'];
    const expected = { issuer, audience: audiences, now: options.now(), requiredClaims };
    try {
      return remember(authorization, await key.verify(token, expected));
    } catch (cause) {
      return problemOf(cause, token);
    }
  };

  return {
    keys: key.keys,
    examine,

    async issue(caller, audience, { claims = {}, lifetimeSeconds = managedIdentityLifetimeSeconds } = {}) {
      const notBefore = seconds();
      const expiresOn = notBefore + lifetimeSeconds;
      const times = { iat: notBefore, nbf: notBefore, exp: expiresOn };
      const who = { oid: caller.objectId, sub: caller.objectId, appid: caller.clientId };
      const fixed = { iss: issuer, aud: audience, tid: tenantId, idtyp: 'app', ver: '1.0' };
      return { token: await key.sign({ ...claims, ...fixed, ...times, ...who }), notBefore, expiresOn };
    },

    async verify(authorization, audience) {
      const outcome = await examine(authorization, [audience]);
      if (!('problem' in outcome)) return outcome;
      if (outcome.problem === 'missing') throw missingToken();
      if (outcome.problem === 'expired') throw expiredToken();
      if (outcome.problem === 'audience') throw wrongAudience(audience, outcome.audience ?? '');
      if (outcome.problem === 'issuer') throw wrongIssuer(issuer);
      throw unknownSigningKey();
    },
  };
}

function problemOf(cause: unknown, token: string): TokenProblem {
  if (cause instanceof errors.JWTExpired) return { problem: 'expired' };
  if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === 'aud')
    return { problem: 'audience', audience: String(decodeJwt(token).aud) };
  if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === 'iss') return { problem: 'issuer' };
  return { problem: 'signature' };
}
