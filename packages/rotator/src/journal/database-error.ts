import { RotatorError } from '../rotator-error.ts';

/** What the journal's database answered, or that it did not. Drivers' errors carry connections: only the code is told. */
export function databaseError(error: unknown): RotatorError {
  if (error instanceof RotatorError) return error;
  const code = codeOf(error);
  if (code === '42501') {
    return new RotatorError('JOURNAL', `The journal's login lacks a right in its database (${code}).`, {
      hint: 'As the owner of that database: grant create on database DATABASE to LOGIN, then run again.',
    });
  }
  if (/^(28|3D)...$/.test(code)) {
    return new RotatorError('JOURNAL', `The journal's database refuses the login (${code}).`, {
      hint: 'Check user, password and database in the URL of the journal.',
    });
  }
  if (/^(?!08|57|53)[0-9A-Z]{5}$/.test(code)) {
    return new RotatorError('JOURNAL', `The journal's database answered with an error (${code}).`, {
      hint: 'See its log. The journal needs a PostgreSQL database that only Keyturn uses.',
    });
  }
  return new RotatorError('JOURNAL', `The journal's database can't be reached (${code}).`, {
    hint: 'Check the URL of the journal, or leave it out for the embedded database.',
  });
}

/** The engine wraps what the driver threw. */
function codeOf(error: unknown): string {
  const { code, error: wrapped } = error as { code?: unknown; error?: unknown };
  if (wrapped instanceof Error) return codeOf(wrapped);
  return typeof code === 'string' ? code : 'no answer';
}
