import type { JWTPayload } from 'jose';
import * as errors from 'jose/errors';
import { decodeJwt } from 'jose/jwt/decode';
import {
  malformedAssertion,
  noFederation,
  noMatchingFederation,
  staleAssertion,
  unsignedAssertion,
} from './entra-refusal.ts';
import type { Identity } from './directory.ts';
import { openSigningKey } from './signing-key.ts';

// Workload identity federation: Entra gives an identity's tokens to a Kubernetes service account that the
// identity trusts, https://learn.microsoft.com/entra/workload-id/workload-identity-federation

/** What a cluster that was told nothing else calls itself. */
export const serviceAccountIssuer = 'https://kubernetes.default.svc.cluster.local';
export const exchangeAudience = 'api://AzureADTokenExchange';

export interface Federation {
  /**
   * What a cluster would put into `AZURE_FEDERATED_TOKEN_FILE` for this service account
   * (`system:serviceaccount:NAMESPACE:NAME`). Good for 24 hours, and not to be renewed by anyone.
   */
  issueServiceAccountToken(subject: string): Promise<string>;
  /** Throws what Entra answers with when the assertion is not from the service account that the identity trusts. */
  check(assertion: string, identity: Identity): Promise<void>;
}

const lifetimeSeconds = 24 * 60 * 60;

export async function createFederation(options: {
  readonly signingKey: string;
  /** Real time, as for all tokens. */
  readonly now: () => Date;
}): Promise<Federation> {
  const key = await openSigningKey(options.signingKey);

  return {
    issueServiceAccountToken(subject) {
      const iat = Math.floor(options.now().getTime() / 1000);
      const times = { iat, nbf: iat, exp: iat + lifetimeSeconds };
      return key.sign({ iss: serviceAccountIssuer, aud: [exchangeAudience], sub: subject, ...times });
    },

    async check(assertion, identity) {
      if (identity.federatedSubject === undefined) throw noFederation(identity.clientId);
      const { iss, aud, sub } = claimsOf(assertion);
      if (iss !== serviceAccountIssuer) throw noMatchingFederation(700211, 'issuer', String(iss));
      await verify(assertion);
      if (![aud].flat().includes(exchangeAudience))
        throw noMatchingFederation(700212, 'audience', [aud].flat().join(', '));
      // Letter by letter, since 2025.
      if (sub !== identity.federatedSubject) throw noMatchingFederation(700213, 'subject', String(sub));
    },
  };

  async function verify(assertion: string): Promise<void> {
    const audience = [claimsOf(assertion).aud ?? ''].flat();
    const expected = { issuer: serviceAccountIssuer, audience, now: options.now() };
    try {
      await key.verify(assertion, { ...expected, requiredClaims: ['exp'] });
    } catch (cause) {
      if (cause instanceof errors.JWTExpired) throw staleAssertion();
      if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === 'nbf') throw staleAssertion();
      throw unsignedAssertion();
    }
  }
}

function claimsOf(assertion: string): JWTPayload {
  try {
    return decodeJwt(assertion);
  } catch {
    // The parser's message could quote the assertion.
    throw malformedAssertion();
  }
}
