/** What may be said of an error outside of this process. */
export type PlainError = {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
};

const ours = new Set(['RotatorError', 'SourceError', 'CredentialRefused', 'JournalError']);

/**
 * An error, fit for a log, a notification and a trace. The messages of our own errors hold no value by contract.
 * Whatever else an error carries (foreign texts, causes, stacks, properties: drivers put whole connection
 * configurations there) is left behind.
 */
export function plainError(error: unknown): PlainError {
  const { name, code, message, hint } = fieldsOf(error);
  if (ours.has(name) && typeof message === 'string') {
    return {
      code: typeof code === 'string' ? code : 'UNEXPECTED',
      message,
      ...(typeof hint === 'string' ? { hint } : {}),
    };
  }
  const known = [kindOf(error), systemCode(code)].filter(Boolean).join(' ');
  return {
    code: 'UNEXPECTED',
    message: `An unexpected ${known || 'error'} was thrown; its text is withheld because it might hold a value.`,
  };
}

function fieldsOf(error: unknown): { name: string; code?: unknown; message?: unknown; hint?: unknown } {
  if (!(error instanceof Error)) return { name: '' };
  const { name, message, code, hint } = error as Error & { code?: unknown; hint?: unknown };
  return { name, message, code, hint };
}

/** The name of its class: unlike `error.name`, which anybody may set, it comes from somebody's source text. */
function kindOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : '';
}

/** `ECONNREFUSED`, `UND_ERR_SOCKET`: what Node and its HTTP client call things. Any other code is left out. */
export function systemCode(code: unknown): string | undefined {
  return typeof code === 'string' && /^(?:E[A-Z]{3,15}|(?:UND_)?ERR_[A-Z_]{3,40})$/.test(code)
    ? code
    : undefined;
}
