/**
 * What went wrong in the rotator.
 *
 * - `JOURNAL`: the durable engine's database can't be started or reached, refuses a right, or was lost on the way.
 * - `VAULT_FORBIDDEN`, `VAULT_UNREACHABLE`, `VAULT_NO_SECRET`, `VAULT_THROTTLED`,
 *   `VAULT_DISABLED`, `VAULT_UNEXPECTED`: what Key Vault answered.
 * - `VAULT_CHANGED`: somebody else published a version while the rotation was open.
 * - `PREFLIGHT`: the rotation may not start, and nothing was changed; the message says which check said so.
 * - `SOURCE`: the source answered what its driver here does not expect; what a `SourceError` calls `UNEXPECTED`.
 * - `NOT_REFUSED`: the old credential was revoked and still logs in.
 * - `ABORTED`: an operator ended the rotation where it was; it is resumed when it is asked for again.
 * - `UNKNOWN_ROTATION`: no rotation of that id is remembered.
 * - `NOT_OPEN`: the rotation has ended, or the order doesn't fit its state.
 * - `NOT_ALLOWED`: who asked for a rotation may not approve it.
 * - `UNKNOWN_SECRET`: the configuration has no secret of that name.
 * - `BUSY`: another rotator works on this journal, or has taken it over.
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
  | 'ABORTED'
  | 'UNKNOWN_ROTATION'
  | 'NOT_OPEN'
  | 'NOT_ALLOWED'
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
