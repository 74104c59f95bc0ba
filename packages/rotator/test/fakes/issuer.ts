import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose';

/** An issuer of tokens on loopback, as Entra is one: its configuration, its keys and what it signs. */
export interface Issuer {
  readonly url: string;
  /** How often its keys were fetched. */
  readonly fetched: number;
  /** While false, it answers 503. */
  healthy: boolean;
  sign(
    claims: JWTPayload,
    changes?: { issuer?: string; audience?: string; expires?: number | 'never' },
  ): Promise<string>;
  close(): Promise<void>;
}

export const audience = 'api://keyturn';

export async function startIssuer({ now = () => Date.now() } = {}): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one', use: 'sig', alg: 'RS256' };
  let fetched = 0;
  const server = createServer((request, response) => {
    if (!issuer.healthy) return response.writeHead(503).end();
    response.setHeader('content-type', 'application/json');
    if (request.url === '/tenant/v2.0/.well-known/openid-configuration')
      return response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }));
    if (request.url !== '/tenant/v2.0/keys') return response.writeHead(404).end();
    fetched += 1;
    return response.end(JSON.stringify({ keys: [jwk] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer: Issuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tenant/v2.0`,
    get fetched() {
      return fetched;
    },
    healthy: true,
    sign(claims, changes = {}) {
      const seconds = Math.floor(now() / 1000);
      const token = new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', kid: 'one' })
        .setIssuer(changes.issuer ?? issuer.url)
        .setAudience(changes.audience ?? audience)
        .setIssuedAt(seconds);
      const { expires = seconds + 3_600 } = changes;
      return (expires === 'never' ? token : token.setExpirationTime(expires)).sign(privateKey);
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return issuer;
}
