import { createRemoteJWKSet } from 'jose/jwks/remote';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import type { Clock } from '../clock.ts';
import { formsOfIssuer, verifyEntraToken, type TokenFault } from '../entra-token.ts';
import { roles, type Auth, type Caller, type Role } from './api-auth.ts';
import type { Refusal } from './problem.ts';

export interface EntraOptions {
  /** Its `https://login.microsoftonline.com/TENANT/v2.0` or `https://sts.windows.net/TENANT/`: either stands for both. */
  readonly issuer: string;
  /** The `aud` of tokens for this rotator: its application id URI (`api://keyturn`), its client id, or both. */
  readonly audience: string | readonly [string, ...string[]];
  /** Where its keys are; found by the issuer's OpenID configuration if absent. */
  readonly jwksUrl?: string;
  /** Which consumers an application may speak for, by its client id or object id; if absent, any for any. */
  readonly consumers?: Readonly<Record<string, readonly string[]>>;
  readonly clock: Clock;
}

const answerWithinMs = 5_000;
const clockToleranceSeconds = 60;

/** Believes tokens of one Entra tenant that are made out to this rotator. Roles are the app roles in their `roles`. */
export function entraAuth(options: EntraOptions): Auth {
  const { issuer, audience, consumers, clock } = options;
  const [first, ...others] = typeof audience === 'string' ? [audience] : audience;
  const scope = `${first}/.default`;
  const keys = keysOf(options);
  const trust = {
    issuers: formsOfIssuer(issuer),
    audiences: [first, ...others],
    clockToleranceSeconds,
    clock,
  };
  return {
    signIn: true,
    async identify({ header }) {
      const token = /^Bearer (\S+)$/i.exec(header('authorization') ?? '')?.[1];
      if (token === undefined) return notSignedIn(scope);
      const verified = await verifyEntraToken(token, keys, trust);
      if ('fault' in verified) return refused(verified.fault, { issuer, scope });
      return callerOf(verified.claims, consumers);
    },
  };
}

/** The keys, fetched when first needed and again when a token names one that is not known. */
function keysOf({ issuer, jwksUrl }: EntraOptions): () => Promise<JWTVerifyGetKey> {
  const remote = (url: string) => createRemoteJWKSet(new URL(url), { timeoutDuration: answerWithinMs });
  let known: Promise<JWTVerifyGetKey> | undefined;
  return () => {
    known ??= (jwksUrl === undefined ? discovered(issuer) : Promise.resolve(jwksUrl)).then(remote);
    known.catch(() => (known = undefined)); // the next request asks again
    return known;
  };
}

async function discovered(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(url, { signal: AbortSignal.timeout(answerWithinMs) });
  const { jwks_uri: found } = (await response.json()) as { jwks_uri?: unknown };
  if (!response.ok || typeof found !== 'string') throw new TypeError('It has no jwks_uri.');
  return found;
}

function callerOf(claims: JWTPayload, consumers: EntraOptions['consumers']): Caller {
  const text = (name: string): string | undefined => {
    const claim = claims[name];
    return typeof claim === 'string' && claim !== '' ? claim : undefined;
  };
  const application = text('azp') ?? text('appid');
  const id = text('oid') ?? text('sub');
  const held = Array.isArray(claims['roles']) ? (claims['roles'] as unknown[]) : [];
  return {
    who: plain(text('preferred_username') ?? text('upn') ?? application ?? id ?? 'an unnamed caller'),
    ...(id === undefined ? {} : { id }),
    roles: new Set(roles.filter((role): role is Role => held.includes(role))),
    ...(consumers === undefined ? {} : { consumers: [...mapped(application), ...mapped(id)] }),
  };

  function mapped(key: string | undefined): readonly string[] {
    if (consumers === undefined || key === undefined || !Object.hasOwn(consumers, key)) return [];
    return consumers[key] ?? [];
  }
}

/** A name is shown on terminals and kept for auditors. */
function plain(name: string): string {
  return name.replaceAll(/\p{Cc}/gu, '').slice(0, 200);
}

function notSignedIn(scope: string): Refusal {
  return {
    code: 'NOT_SIGNED_IN',
    detail: 'This rotator asks for an Entra token, and the request has none.',
    hint: `Send Authorization: Bearer with a token for ${scope}.`,
    headers: { 'www-authenticate': `Bearer realm="keyturn", scope="${scope}"` },
  };
}

/** Why a token is not believed; that the keys can't be had is not the caller's fault, and told apart. */
function refused(fault: TokenFault, { issuer, scope }: { issuer: string; scope: string }): Refusal {
  if (fault.kind === 'keys') {
    return {
      code: 'KEYS_UNREACHABLE',
      detail: `The keys of ${issuer} can't be had, so no token can be checked.`,
      hint: 'Let the rotator reach the issuer (login.microsoftonline.com) and ask again.',
    };
  }
  return {
    code: 'TOKEN_REFUSED',
    detail: `The token ${inWords(fault)}.`,
    hint: `Ask for a token for ${scope} of ${issuer}.`,
    headers: { 'www-authenticate': `Bearer realm="keyturn", scope="${scope}", error="invalid_token"` },
  };
}

function inWords(fault: TokenFault): string {
  if (fault.kind === 'expired') return 'has expired';
  if (fault.kind !== 'claim') return 'is not signed by the issuer';
  if (fault.claim === 'aud') return 'is made out to somebody else (aud)';
  if (fault.claim === 'iss') return 'comes from another issuer (iss)';
  return `has no valid claim ${fault.claim}`;
}
