import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import type { SecretVault } from './vault.ts';
import { toVaultError } from './vault-error.ts';

export interface KeyVaultOptions {
  /** Default `DefaultAzureCredential`: managed identity in Azure, your own sign-in on your machine. */
  readonly credential?: TokenCredential;
  /** Passed to the SDK: a proxy, an own CA. */
  readonly clientOptions?: SecretClientOptions;
}

/**
 * Azure Key Vault through its SDK, for `openSecrets`. One per vault and process: each new one pays an
 * unauthenticated first request. The identity needs the role "Key Vault Secrets User".
 *
 * @example
 * const vault = keyVault('https://orders.vault.azure.net');
 */
export function keyVault(url: string, options: KeyVaultOptions = {}): SecretVault {
  const { credential = new DefaultAzureCredential(), clientOptions = {} } = options;
  // Backoff is the client's: a retry inside the SDK would outlast `vaultTimeoutMs` unseen.
  const client = new SecretClient(url, credential, { retryOptions: { maxRetries: 0 }, ...clientOptions });
  return {
    async getSecret(name, { abortSignal } = {}) {
      try {
        return await client.getSecret(name, abortSignal ? { abortSignal } : {});
      } catch (error) {
        throw toVaultError(error, name);
      }
    },
  };
}

const renewBeforeMs = 5 * 60_000;

/**
 * Tokens of this application's identity for a rotator that asks for them, as the option `rotator.token`. One is kept
 * until five minutes before it expires. `scope` is the rotator's application id URI and `/.default`.
 *
 * @example
 * const rotator = { url, consumer: 'orders-api', token: rotatorToken('api://keyturn/.default') };
 */
export function rotatorToken(
  scope: string,
  { credential = new DefaultAzureCredential() }: Pick<KeyVaultOptions, 'credential'> = {},
): () => Promise<string> {
  let known: { readonly token: string; readonly expiresOnTimestamp: number } | undefined;
  return async () => {
    if (!known || known.expiresOnTimestamp - renewBeforeMs < Date.now()) {
      const token = await credential.getToken(scope);
      if (!token) throw new Error('The identity gave no token.');
      known = token;
    }
    return known.token;
  };
}
