/** Where a command writes: results to `out`, everything else to `err`. */
export interface Output {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
}

/** One clear line, and one with what to do. The text of an error that is not ours might hold a value: it is withheld. */
export function explain(error: unknown): string {
  const { name, code, message, hint } = error as {
    name?: string;
    code?: string;
    message?: string;
    hint?: string;
  };
  const ours = [
    'CliError',
    'RotatorError',
    'SourceError',
    'CredentialRefused',
    'JournalError',
    'EmulatorError',
  ];
  if (!ours.includes(name ?? '')) {
    return `keyturn: an unexpected error (${[name, code].filter(Boolean).join(' ')}); its text is withheld because it might hold a value.`;
  }
  return `keyturn: ${message}${hint === undefined ? '' : `\n  hint: ${hint}`}`;
}
