/**
 * What went wrong in the rotator.
 *
 * - `JOURNAL`: the durable engine's database can't be started or reached.
 * - `VAULT_FORBIDDEN`, `VAULT_UNREACHABLE`, `VAULT_NO_SECRET`, `VAULT_THROTTLED`,
 *   `VAULT_DISABLED`, `VAULT_UNEXPECTED`: what Key Vault answered.
 * - `VAULT_CHANGED`: somebody else published a version while the rotation was open.
 * - `PREFLIGHT`: the rotation may not start; the message says which check said so.
 * - `SOURCE`: the source could not do what was asked; `cause` is its `SourceError`.
 * - `NOT_REFUSED`: the old credential was revoked and still logs in.
 * - `UNKNOWN_SECRET`: the configuration has no secret of that name.
 * - `BUSY`: another rotator works on this journal.
 * - `LISTEN`: the address for the application instances can't be listened on.
 */
export type RotatorErrorCode =
  | 'JOURNAL'
  | 'VAULT_FORBIDDEN'
  | 'VAULT_UNREACHABLE'
  | 'VAULT_NO_SECRET'
  | 'VAULT_THROTTLED'
  | 'VAULT_DISABLED'
  | 'VAULT_UNEXPECTED'
  | 'VAULT_CHANGED'
  | 'PREFLIGHT'
  | 'SOURCE'
  | 'NOT_REFUSED'
  | 'UNKNOWN_SECRET'
  | 'BUSY'
  | 'LISTEN';

/** The one error that the rotator throws. `message` says what happened, `hint` what to do; neither holds a value. */
export class RotatorError extends Error {
  readonly code: RotatorErrorCode;
  readonly hint: string | undefined;

  constructor(
    code: RotatorErrorCode,
    message: string,
    options: { cause?: unknown; hint?: string | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RotatorError';
    this.code = code;
    this.hint = options.hint;
  }
}
