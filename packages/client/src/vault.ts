import { SecretsError } from './secrets-error.ts';
import { toVaultError } from './vault-error.ts';

/**
 * What the client needs of a vault: the shape of the SDK's `SecretClient`. It resolves with the current version
 * or throws; a secret that can't be read must never resolve without a value.
 */
export interface SecretVault {
  getSecret(
    name: string,
    options?: { readonly abortSignal?: AbortSignal },
  ): Promise<{
    readonly value?: string;
    readonly properties: {
      readonly version?: string;
      readonly expiresOn?: Date;
      readonly enabled?: boolean;
    };
  }>;
}

/** One answer of the vault, checked. */
export interface Reading {
  readonly value: string;
  readonly version: string;
  readonly expiresOn: Date | undefined;
}

/** Reads the current version; every failure is a {@link SecretsError}. */
export async function readVault(
  vault: SecretVault,
  name: string,
  abortSignal: AbortSignal,
): Promise<Reading> {
  const { value, properties } = (await ask(vault, name, abortSignal)) ?? {};
  if (properties?.enabled === false) {
    throw new SecretsError(
      'VAULT_DISABLED',
      `The newest version of the secret ${name} is disabled. Enable it, or set a new one.`,
    );
  }
  if (!isText(value)) {
    throw new SecretsError('VAULT_UNEXPECTED', `The vault sent the secret ${name} without a value. Set one.`);
  }
  if (!isText(properties?.version)) {
    throw new SecretsError('VAULT_UNEXPECTED', `The vault sent the secret ${name} without its version.`);
  }
  return { value, version: properties.version, expiresOn: properties.expiresOn };
}

/** A vault of the application's own may send what its type does not allow. */
function isText(given: unknown): given is string {
  return typeof given === 'string' && given !== '';
}

async function ask(
  vault: SecretVault,
  name: string,
  abortSignal: AbortSignal,
): Promise<Partial<Awaited<ReturnType<SecretVault['getSecret']>>> | undefined> {
  try {
    return await vault.getSecret(name, { abortSignal });
  } catch (error) {
    throw toVaultError(error, name);
  }
}
