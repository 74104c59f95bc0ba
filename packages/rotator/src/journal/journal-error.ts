import { SourceError } from '@keyturn/source';
import { RotatorError } from '../rotator-error.ts';
import { plainError } from '../telemetry/plain-error.ts';

/**
 * An error as the journal may hold it. The engine stores whatever an error carries, its causes included, and
 * drivers put whole connection configurations there: only code, message and hint of our own errors pass.
 */
export class JournalError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  /** True if it may pass by itself: no answer, an overloaded server. */
  readonly passing: boolean;

  constructor(fields: { code: string; message: string; hint: string | undefined; passing: boolean }) {
    super(fields.message);
    this.name = 'JournalError';
    this.code = fields.code;
    this.hint = fields.hint;
    this.passing = fields.passing;
    this.stack = `${this.name}: ${this.message}`;
  }
}

const passingCodes = new Set([
  'VAULT_UNREACHABLE',
  'VAULT_THROTTLED',
  'UNREACHABLE',
  'UNEXPECTED',
  'JOURNAL',
]);

export function toJournalError(error: unknown): JournalError {
  if (error instanceof JournalError) return error;
  if (error instanceof RotatorError || error instanceof SourceError) {
    const { message, hint } = error;
    // What a source did not expect is no bug of ours, as the `UNEXPECTED` below is.
    const code = error.code === 'UNEXPECTED' ? 'SOURCE' : error.code;
    return new JournalError({ code, message, hint, passing: passingCodes.has(error.code) });
  }
  const { message } = plainError(error);
  return new JournalError({
    code: 'UNEXPECTED',
    message,
    hint: undefined,
    passing: false,
  });
}
