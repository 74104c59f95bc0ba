/**
 * Why a source could not do what was asked.
 *
 * - `REFUSED`: the source rejected the credential (wrong, expired, ended).
 * - `UNREACHABLE`: no answer, or the connection broke; nothing is known about the outcome.
 * - `FORBIDDEN`: Keyturn's own login lacks a right; `hint` says the statement or grant that gives it.
 * - `AMBIGUOUS`: the source holds several credentials and cannot tell which one is in use.
 * - `MISCONFIGURED`: the source is set up in a way that rotation can't work with; `hint` says how to mend it.
 * - `UNEXPECTED`: anything else the source answered.
 */
export type SourceErrorCode =
  | 'REFUSED'
  | 'UNREACHABLE'
  | 'FORBIDDEN'
  | 'AMBIGUOUS'
  | 'MISCONFIGURED'
  | 'UNEXPECTED';

/** The one error that sources throw. `message` says what happened, `hint` what to do; neither holds a value. */
export class SourceError extends Error {
  readonly code: SourceErrorCode;
  readonly hint: string | undefined;

  constructor(code: SourceErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code === 'REFUSED' ? 'CredentialRefused' : 'SourceError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** True if the source itself said no to the credential; false for "don't know". */
export function isRefused(error: unknown): boolean {
  return error instanceof SourceError && error.code === 'REFUSED';
}
