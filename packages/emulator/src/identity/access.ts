import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmulatorError } from '../emulator-error.ts';
import type { KeyFiles } from '../key-material.ts';
import { vaultResource } from '../vault/data-plane.ts';
import type { Identity } from './directory.ts';
import { entraHosts } from './entra.ts';
import type { Federation } from './federation.ts';
import { appServicePath, imdsPathOf } from './managed-identity.ts';
import type { Tokens } from './tokens.ts';

/** An identity, and how code comes to act as it. */
export interface IdentityAccess extends Identity {
  /** What a process needs in its environment to find the emulator and to act as this identity. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * The same for a process that acts as this identity by workload identity federation, with the token of its
   * Kubernetes service account in a file that is good for 24 hours. Throws `OPTIONS_INVALID` when the identity
   * trusts no service account (`federatedSubject`).
   */
  workloadEnvironment(): Promise<Readonly<Record<string, string>>>;
  /** A metadata service whose callers are this identity (`AZURE_POD_IDENTITY_AUTHORITY_HOST`). */
  readonly imdsUrl: string;
  /** A token credential for this very process. */
  readonly credential: TokenSource;
}

/** What the client libraries take as a `TokenCredential`. */
export interface TokenSource {
  getToken(scopes: string | readonly string[]): Promise<{ token: string; expiresOnTimestamp: number }>;
}

/** Makes the ways in for an identity. `folder` takes the tokens of service accounts. */
export function createAccess(at: {
  readonly identityUrl: string;
  readonly proxyUrl: string;
  readonly keys: KeyFiles;
  readonly headerOf: (name: string) => string;
  readonly tokens: Tokens;
  readonly federation: Federation;
  readonly tenantId: string;
  readonly folder: string;
}): (identity: Identity) => IdentityAccess {
  const { caFile, bundleFile } = at.keys;
  const network = {
    HTTPS_PROXY: at.proxyUrl,
    // Or the plain http call for a token would go through the proxy, too.
    NO_PROXY: '127.0.0.1,localhost',
    NODE_EXTRA_CA_CERTS: caFile,
    // The same for curl, Go, Python and others, whose settings replace what they trust.
    SSL_CERT_FILE: bundleFile,
    REQUESTS_CA_BUNDLE: bundleFile,
  };

  return (identity) => ({
    ...identity,
    environment: {
      ...network,
      IDENTITY_ENDPOINT: `${at.identityUrl}${appServicePath}`,
      IDENTITY_HEADER: at.headerOf(identity.name),
      ...(identity.systemAssigned ? {} : { AZURE_CLIENT_ID: identity.clientId }),
    },
    async workloadEnvironment() {
      if (identity.federatedSubject === undefined)
        throw new EmulatorError(
          'OPTIONS_INVALID',
          `The identity ${identity.name} trusts no service account. Give it a federatedSubject: system:serviceaccount:NAMESPACE:NAME.`,
        );
      const tokenFile = join(at.folder, `token-${identity.clientId}`);
      await writeFile(tokenFile, await at.federation.issueServiceAccountToken(identity.federatedSubject), {
        mode: 0o600,
      });
      return {
        ...network,
        AZURE_TENANT_ID: at.tenantId,
        AZURE_CLIENT_ID: identity.clientId,
        AZURE_FEDERATED_TOKEN_FILE: tokenFile,
        AZURE_AUTHORITY_HOST: `https://${entraHosts[0]}/`,
      };
    },
    imdsUrl: `${at.identityUrl}${imdsPathOf(identity.name)}/`,
    credential: {
      async getToken(scopes) {
        const [scope = vaultResource] = [scopes].flat();
        const issued = await at.tokens.issue(identity, scope.replace(/\/+\.default$/, ''));
        return { token: issued.token, expiresOnTimestamp: issued.expiresOn * 1000 };
      },
    },
  });
}
