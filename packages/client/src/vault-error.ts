import { SecretsError } from './secrets-error.ts';

interface HttpFailure {
  readonly name?: string;
  readonly code?: string;
  readonly statusCode?: number;
  readonly details?: {
    readonly error?: {
      readonly innerError?: { readonly code?: string };
      readonly innererror?: { readonly code?: string };
    };
  };
  readonly response?: { readonly headers?: { get?(name: string): string | null | undefined } };
}

/**
 * Turns what a vault threw into one clear line. Vault errors carry whole requests, bearer token included: only
 * what is known to be harmless (name, codes, status) goes into the message and the cause.
 */
export function toVaultError(error: unknown, name: string): SecretsError {
  if (error instanceof SecretsError) return error;
  const failure = (typeof error === 'object' && error !== null ? error : {}) as HttpFailure;
  const { statusCode } = failure;
  const inner = failure.details?.error?.innerError?.code ?? failure.details?.error?.innererror?.code;
  const cause = harmless(failure, inner);
  const what = `Could not read the secret ${name}`;
  const answered = `the vault answered ${statusCode}${inner ? ` (${inner})` : ''}`;

  if (isIdentityFailure(failure)) {
    return new SecretsError(
      'VAULT_FORBIDDEN',
      `${what}: no Azure identity to sign in with. Run where a managed identity is assigned, or use \`az login\`.`,
      { cause },
    );
  }
  if (statusCode === undefined) {
    const reason = failure.code ?? failure.name ?? 'no answer';
    return new SecretsError(
      'VAULT_UNREACHABLE',
      `${what}: ${reason}. Check the vault's URL, DNS and firewall.`,
      { cause },
    );
  }
  if (inner === 'SecretDisabled') {
    return new SecretsError(
      'VAULT_DISABLED',
      `${what}: its newest version is disabled. Enable it, or set a new one.`,
      { cause },
    );
  }
  if (statusCode === 401 || statusCode === 403) {
    return new SecretsError(
      'VAULT_FORBIDDEN',
      `${what}: ${answered}. Give this application's identity the role "Key Vault Secrets User".`,
      { cause },
    );
  }
  if (statusCode === 404) {
    return new SecretsError('VAULT_NO_SECRET', `${what}: there is none of that name. Check name and vault.`, {
      cause,
    });
  }
  const retryAfterMs = readRetryAfter(failure);
  if (statusCode === 429) {
    return new SecretsError(
      'VAULT_THROTTLED',
      `${what}: the vault throttles (429). It is tried again by itself.`,
      { cause, retryAfterMs },
    );
  }
  if (statusCode >= 500) {
    return new SecretsError('VAULT_UNREACHABLE', `${what}: ${answered}. It is tried again by itself.`, {
      cause,
      retryAfterMs,
    });
  }
  return new SecretsError('VAULT_UNEXPECTED', `${what}: ${answered}.`, { cause });
}

function isIdentityFailure({ name, statusCode }: HttpFailure): boolean {
  return (
    name === 'CredentialUnavailableError' ||
    name === 'AggregateAuthenticationError' ||
    (name === 'AuthenticationError' && statusCode !== 429)
  );
}

function harmless({ name, code, statusCode }: HttpFailure, inner: string | undefined): Error {
  const parts = [code, statusCode, inner].filter((part) => part !== undefined);
  const cause = new Error(parts.length > 0 ? parts.join(' ') : 'no further detail');
  cause.name = name ?? 'Error';
  return cause;
}

function readRetryAfter({ response }: HttpFailure): number | undefined {
  const header = (name: string) => response?.headers?.get?.(name) ?? undefined;
  const ms = Number(header('retry-after-ms') ?? header('x-ms-retry-after-ms') ?? Number.NaN);
  if (ms >= 0) return ms;
  const text = header('retry-after');
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (seconds >= 0) return seconds * 1_000;
  const untilMs = Date.parse(text) - Date.now();
  return untilMs >= 0 ? untilMs : undefined;
}
