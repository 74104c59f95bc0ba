/**
 * What went wrong, for code to branch on.
 *
 * - `OPTIONS_INVALID`: what was passed to this package does not have the documented shape.
 * - `NOT_LOADED`: `handle.current` was read before the first load; await `handle.ready`.
 * - `NOT_READY`: `secrets.ready` ran out of time; the message says for which secret, and why.
 * - `VALUE_STALE`: the vault has failed for longer than `staleIfErrorMs`; `cause` says how.
 * - `CLOSED`: `close()` or `end()` was called before.
 * - `VALUE_FORMAT`: the value is not in the format that an adapter needs.
 * - `LOGIN_TIMEOUT`: a source did not answer an adapter's login in time.
 * - `VAULT_FORBIDDEN`: the vault refused this application's identity, or there is none.
 * - `VAULT_NO_SECRET`: the vault has no secret of that name.
 * - `VAULT_DISABLED`: the newest version is disabled.
 * - `VAULT_THROTTLED`: the vault answered 429.
 * - `VAULT_TIMEOUT`: the vault did not answer within `vaultTimeoutMs`.
 * - `VAULT_UNREACHABLE`: no connection, or the vault answered 5xx.
 * - `VAULT_UNEXPECTED`: any other answer, for example a secret without a value.
 * - `ROTATOR_UNREACHABLE`: only in the event `unreachable`; never thrown.
 */
export type SecretsErrorCode =
  | 'OPTIONS_INVALID'
  | 'NOT_LOADED'
  | 'NOT_READY'
  | 'VALUE_STALE'
  | 'CLOSED'
  | 'VALUE_FORMAT'
  | 'LOGIN_TIMEOUT'
  | 'VAULT_FORBIDDEN'
  | 'VAULT_NO_SECRET'
  | 'VAULT_DISABLED'
  | 'VAULT_THROTTLED'
  | 'VAULT_TIMEOUT'
  | 'VAULT_UNREACHABLE'
  | 'VAULT_UNEXPECTED'
  | 'ROTATOR_UNREACHABLE';

/**
 * The one error of this package. Its message says what happened and what to do; it never holds a value.
 *
 * @example
 * try {
 *   await secrets.get('orders-db');
 * } catch (error) {
 *   if (error instanceof SecretsError && error.code === 'VAULT_NO_SECRET') …
 * }
 */
export class SecretsError extends Error {
  override readonly name = 'SecretsError';
  readonly code: SecretsErrorCode;
  /** How long the vault asked to be left alone (its `Retry-After`), milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: SecretsErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}
