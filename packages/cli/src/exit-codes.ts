/** What the exit code of `keyturn` means. The README's table is checked against this one. */
export const exitCodes = {
  done: { code: 0, meaning: 'done' },
  unexpected: { code: 1, meaning: 'an error that is a bug: please report it' },
  usage: { code: 2, meaning: 'wrong arguments or configuration; nothing was done' },
  notStarted: { code: 3, meaning: 'the rotation may not start; nothing was changed' },
  vault: { code: 4, meaning: 'the vault is unreachable or a right is missing; run again to resume' },
  source: {
    code: 5,
    meaning: 'the source is unreachable or set up wrongly, or a right is missing; run again to resume',
  },
  held: {
    code: 6,
    meaning: 'not everyone has adopted the new version; both credentials work; run again to resume',
  },
  rolledBack: { code: 7, meaning: 'the new version was taken back; the old credential works' },
  journal: {
    code: 8,
    meaning:
      'the journal or the address for instances is not to be had; an open rotation stays open; run again to resume',
  },
  needsPerson: {
    code: 9,
    meaning: 'somebody else changed the secret, or the old credential still logs in: look at the message',
  },
  demoFailed: { code: 10, meaning: 'the demo did not show what it claims' },
  emulator: {
    code: 11,
    meaning: 'the local vault could not start: its port or its data folder is not to be had',
  },
  unreachable: { code: 12, meaning: 'no rotator answers at that address, or not in time' },
  notAllowed: {
    code: 13,
    meaning: 'the rotator does not let you: no token, a role is missing, or somebody else has to do it',
  },
  notOpen: {
    code: 14,
    meaning: 'the rotation is not open, or its state does not fit the order; nothing was done',
  },
  aborted: {
    code: 15,
    meaning: 'an operator aborted the rotation; both credentials work; run again to resume',
  },
  interrupted: {
    code: 130,
    meaning:
      'interrupted; an open rotation stays open and what applications use keeps working; run again to resume',
  },
} as const;

const byErrorCode: Readonly<Record<string, keyof typeof exitCodes>> = {
  USAGE: 'usage',
  CONFIG: 'usage',
  UNKNOWN_SECRET: 'usage',
  PREFLIGHT: 'notStarted',
  VAULT_FORBIDDEN: 'vault',
  VAULT_UNREACHABLE: 'vault',
  VAULT_NO_SECRET: 'vault',
  VAULT_THROTTLED: 'vault',
  VAULT_DISABLED: 'vault',
  VAULT_UNEXPECTED: 'vault',
  REFUSED: 'source',
  UNREACHABLE: 'source',
  FORBIDDEN: 'source',
  MISCONFIGURED: 'source',
  AMBIGUOUS: 'source',
  SOURCE: 'source',
  VAULT_CHANGED: 'needsPerson',
  NOT_REFUSED: 'needsPerson',
  ABORTED: 'aborted',
  JOURNAL: 'journal',
  BUSY: 'journal',
  LISTEN: 'journal',
  DEMO: 'demoFailed',
  OPTIONS_INVALID: 'usage',
  REQUEST_REFUSED: 'usage',
  AZURITE_MISSING: 'emulator',
  DATA_FOLDER_UNUSABLE: 'emulator',
  LISTEN_FAILED: 'emulator',
  ROTATOR_UNREACHABLE: 'unreachable',
  NOT_A_ROTATOR: 'unreachable',
  KEYS_UNREACHABLE: 'unreachable',
  TOO_MANY_STREAMS: 'unreachable',
  SIGN_IN: 'notAllowed',
  NOT_SIGNED_IN: 'notAllowed',
  TOKEN_REFUSED: 'notAllowed',
  ROLE_MISSING: 'notAllowed',
  NOT_LOCAL: 'notAllowed',
  NOT_ALLOWED: 'notAllowed',
  NOT_OPEN: 'notOpen',
  UNKNOWN_ROTATION: 'usage',
  INVALID_REQUEST: 'usage',
};

/** The exit code for an error, by the literal code that all of Keyturn's errors carry. */
export function exitCodeFor(error: unknown): number {
  const { code } = error as { code?: string };
  return exitCodes[byErrorCode[code ?? ''] ?? 'unexpected'].code;
}
