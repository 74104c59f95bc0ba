import { AuthenticationError, CredentialUnavailableError } from '@azure/identity';
import { RotatorError } from './rotator-error.ts';

/** What was asked of the vault when it failed. */
export interface Asked {
  readonly url: string;
  readonly secret: string;
  readonly doing: string;
  readonly requestTimeoutMs: number;
}

/** The SDK's errors carry whole requests: only what is known to be harmless is taken over. */
export function vaultError(error: unknown, asked: Asked): RotatorError {
  const what = `Could not ${asked.doing} the secret ${asked.secret} in ${asked.url}`;
  if (isAboutIdentity(error)) return identityError(error, what);
  const { statusCode } = error as Failure;
  return statusCode === undefined
    ? noAnswer(error as Failure, what, asked)
    : answered(statusCode, innerCode(error), what);
}

interface Failure {
  readonly name?: string;
  readonly code?: string;
  readonly errorCode?: string;
  readonly status?: number;
  readonly statusCode?: number;
  readonly cause?: unknown;
  readonly errors?: readonly unknown[];
}

function isAboutIdentity(error: unknown): boolean {
  return (
    error instanceof CredentialUnavailableError ||
    error instanceof AuthenticationError ||
    (error as Failure).name === 'AggregateAuthenticationError'
  );
}

/** An identity that can't be asked at the moment is not a missing one. */
function identityError(error: unknown, what: string): RotatorError {
  const reasons = withReasons(error);
  const statuses = reasons.map(({ statusCode, status }) => statusCode ?? status ?? 0);
  if (statuses.includes(429)) {
    return new RotatorError('VAULT_THROTTLED', `${what}: the identity endpoint throttles (429).`, {
      hint: 'It is tried again by itself.',
    });
  }
  if (statuses.some((status) => status >= 500) || reasons.some(isNetworkFailure)) {
    return new RotatorError('VAULT_UNREACHABLE', `${what}: the identity endpoint does not answer.`, {
      hint: 'It is tried again by itself. If it stays so, see that the managed identity endpoint can be reached.',
    });
  }
  return new RotatorError('VAULT_FORBIDDEN', `${what}: no Azure identity to sign in with.`, {
    hint: 'Run where a managed identity is assigned, or sign in with `az login`.',
  });
}

/** An error with all that it is due to: a chain of credentials has one for each. */
function withReasons(error: unknown): Failure[] {
  if (typeof error !== 'object' || error === null) return [];
  const failure = error as Failure;
  return [failure, ...[...(failure.errors ?? []), failure.cause].flatMap(withReasons)];
}

function isNetworkFailure({ code, errorCode }: Failure): boolean {
  return errorCode === 'network_error' || /^E[A-Z]+$/.test(code ?? '');
}

function answered(status: number, inner: string | undefined, what: string): RotatorError {
  const answer = `${what}: the vault answered ${status}${inner ? ` (${inner})` : ''}.`;
  if (inner === 'SecretDisabled') {
    return new RotatorError('VAULT_DISABLED', `${what}: it is disabled.`, {
      hint: 'Enable the newest version, or set a new one: a disabled newest version hides every older one.',
    });
  }
  if (status === 401 || status === 403) {
    return new RotatorError('VAULT_FORBIDDEN', answer, {
      hint: 'Give the identity of the rotator the role "Key Vault Secrets Officer" on this vault or secret.',
    });
  }
  if (status === 404) {
    return new RotatorError('VAULT_NO_SECRET', `${what}: there is none of that name.`, {
      hint: 'Check the name, or set its first version by hand.',
    });
  }
  if (status === 429) {
    return new RotatorError('VAULT_THROTTLED', `${what}: the vault throttles (429).`, {
      hint: 'It is tried again by itself.',
    });
  }
  if (status >= 500)
    return new RotatorError('VAULT_UNREACHABLE', answer, { hint: 'It is tried again by itself.' });
  return new RotatorError('VAULT_UNEXPECTED', answer, {
    hint: "Look the refusal up in the vault's diagnostic log, mend what it names, then run again.",
  });
}

function noAnswer({ name, code }: Failure, what: string, { requestTimeoutMs }: Asked): RotatorError {
  const reason =
    name === 'AbortError' || name === 'TimeoutError'
      ? `no answer within ${requestTimeoutMs / 1000} s`
      : (code ?? name ?? 'no answer');
  return new RotatorError('VAULT_UNREACHABLE', `${what}: ${reason}.`, {
    hint: 'Check the vault URL, DNS and the firewall of the vault.',
  });
}

function innerCode(error: unknown): string | undefined {
  const details = (
    error as { details?: { error?: { innerError?: { code?: string }; innererror?: { code?: string } } } }
  ).details;
  return details?.error?.innerError?.code ?? details?.error?.innererror?.code;
}
