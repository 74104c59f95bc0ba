/** What the command was stopped by before it reached the vault or a source. */
export type CliErrorCode = 'USAGE' | 'CONFIG' | 'DEMO';

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
