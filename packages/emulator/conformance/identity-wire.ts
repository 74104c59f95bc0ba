import assert from 'node:assert/strict';
import { identityNamed, type IdentityName } from './identities.ts';
import type { IdentityWire, Subject } from './subject.ts';

// How a workload asks for tokens.

export const vaultResource = 'https://vault.azure.net';

export interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Claims {
  readonly iss: string;
  readonly aud: string;
  readonly oid: string;
  readonly appid: string;
  readonly tid: string;
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
}

/** The endpoint that the checks of managed identity need. */
export function wireOf(vault: Subject): IdentityWire {
  assert.ok(vault.identity, 'the subject has an identity endpoint');
  return vault.identity;
}

/** Asks in the form of App Service and Functions. */
export function askAppService(
  vault: Subject,
  query: Readonly<Record<string, string>>,
  headers?: Readonly<Record<string, string>>,
): Promise<TokenAnswer> {
  const { url, header } = wireOf(vault).appService;
  return ask(url, { 'api-version': '2019-08-01', ...query }, headers ?? { 'X-IDENTITY-HEADER': header });
}

/** Asks in the form of a virtual machine's metadata service. */
export function askImds(
  vault: Subject,
  query: Readonly<Record<string, string>>,
  {
    path = 'metadata/identity/oauth2/token',
    headers = { Metadata: 'true' },
  }: { readonly path?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<TokenAnswer> {
  return ask(`${wireOf(vault).imds}${path}`, { 'api-version': '2018-02-01', ...query }, headers);
}

async function ask(
  url: string,
  query: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>>,
): Promise<TokenAnswer> {
  const answer = await fetch(`${url}?${new URLSearchParams(query).toString()}`, { headers });
  const body: unknown = await answer.json().catch(() => ({}));
  return { status: answer.status, body: body as TokenAnswer['body'] };
}

/** The token in an answer, which must be 200. */
export function tokenIn({ status, body }: TokenAnswer): string {
  assert.equal(status, 200, `expected 200, got ${status}`);
  assert.equal(typeof body['access_token'], 'string', 'the answer has an access_token');
  return String(body['access_token']);
}

export function claimsIn(token: string): Claims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;
}

/** A token of one of the suite's identities. It must speak for that one, or nothing that follows means anything. */
export async function tokenOf(vault: Subject, name: IdentityName): Promise<string> {
  const { clientId, objectId } = identityNamed(name);
  const answer = await askAppService(vault, { resource: vaultResource, client_id: clientId });
  const token = tokenIn(answer);
  assert.equal(claimsIn(token).oid, objectId, `the token speaks for ${name}`);
  return token;
}
