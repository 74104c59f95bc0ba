import type { ProblemCode } from '@keyturn/rotator/api';

/**
 * What a command was stopped by: before it reached anything, on the way to a running rotator, or by what the rotator
 * answered, under the code that it gave.
 */
export type CliErrorCode =
  | 'USAGE'
  | 'CONFIG'
  | 'DEMO'
  | 'ROTATOR_UNREACHABLE'
  | 'NOT_A_ROTATOR'
  | 'SIGN_IN'
  | ProblemCode;

/** The one error of the CLI itself. `hint` says what to do. */
export class CliError extends Error {
  readonly code: CliErrorCode;
  readonly hint: string | undefined;

  constructor(code: CliErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.code = code;
    this.hint = options.hint;
  }
}
