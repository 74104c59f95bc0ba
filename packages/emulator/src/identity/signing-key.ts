import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { JWK, JWTPayload } from 'jose';
// By their own names: the whole library takes longer to load than all it is used for here.
import { calculateJwkThumbprint } from 'jose/jwk/thumbprint';
import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import { exportJWK } from 'jose/key/export';

/** The emulator's RSA key: it signs what Entra and a Kubernetes cluster would sign. */
export interface SigningKey {
  /** Signs exactly these claims. */
  sign(claims: JWTPayload): Promise<string>;
  /** Throws an error of jose when the signature, the lifetime, the issuer or the audience is not right. */
  verify(token: string, expected: Expected): Promise<JWTPayload>;
  /** The public half, for others who check tokens. */
  readonly keys: { readonly keys: readonly JWK[] };
}

export interface Expected {
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly now: Date;
  readonly requiredClaims: readonly string[];
}

/** `pem` is an RSA private key, PKCS#8. */
export async function openSigningKey(pem: string): Promise<SigningKey> {
  const privateKey = createPrivateKey(pem);
  const publicKey = createPublicKey(privateKey);
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return {
    keys: { keys: [{ ...jwk, kid, x5t: kid, use: 'sig', alg: 'RS256' }] },

    sign: (claims) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid, x5t: kid }).sign(privateKey),

    async verify(token, expected) {
      const { payload } = await jwtVerify(token, publicKey, {
        algorithms: ['RS256'],
        issuer: expected.issuer,
        audience: [...expected.audience],
        currentDate: expected.now,
        requiredClaims: [...expected.requiredClaims],
      });
      return payload;
    },
  };
}
