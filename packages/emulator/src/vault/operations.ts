export const operations = [
  'setSecret',
  'getSecret',
  'updateSecret',
  'listSecrets',
  'listVersions',
  'deleteSecret',
  'getDeletedSecret',
  'listDeletedSecrets',
  'recoverSecret',
  'purgeSecret',
  'backupSecret',
  'restoreSecret',
] as const;

/** What a call of the vault wants, as the service's documentation names it. */
export type Operation = (typeof operations)[number];
