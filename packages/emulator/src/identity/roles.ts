import type { Operation } from '../vault/operations.ts';

/** What somebody may do, as the last part of the name of the action in Azure's role definitions. */
export type Action =
  // Microsoft.KeyVault/vaults/secrets/…
  | 'getSecret'
  | 'readMetadata'
  | 'setSecret'
  | 'update'
  | 'delete'
  | 'backup'
  | 'restore'
  | 'recover'
  | 'purge'
  // Microsoft.Storage/storageAccounts/…
  | 'listkeys'
  | 'regenerateKey'
  // An application permission of Microsoft Graph.
  | 'Application.ReadWrite.All';

interface Role {
  /** The definition's id on Azure, or the permission's on Graph: the same in every tenant. */
  readonly id: string;
  readonly actions: readonly Action[];
}

const everySecretAction: readonly Action[] = [
  'getSecret',
  'readMetadata',
  'setSecret',
  'update',
  'delete',
  'backup',
  'restore',
  'recover',
  'purge',
];

const roles = {
  'Key Vault Administrator': { id: '00482a5a-887f-4fb3-b363-3b7fe8e74483', actions: everySecretAction },
  'Key Vault Secrets Officer': { id: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7', actions: everySecretAction },
  'Key Vault Secrets User': {
    id: '4633458b-17de-408a-b874-0445c86b69e6',
    actions: ['getSecret', 'readMetadata'],
  },
  'Key Vault Reader': { id: '21090545-7ca7-4776-b22c-e363652d74d2', actions: ['readMetadata'] },
  'Storage Account Key Operator Service Role': {
    id: '81a9662b-bebf-436f-a333-f67b29880f12',
    actions: ['listkeys', 'regenerateKey'],
  },
  'Application.ReadWrite.All': {
    id: '1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9',
    actions: ['Application.ReadWrite.All'],
  },
} as const satisfies Readonly<Record<string, Role>>;

export type RoleName = keyof typeof roles;
export const roleNames = Object.keys(roles) as [RoleName, ...RoleName[]];

export function roleAllows(name: RoleName, action: Action): boolean {
  const { actions }: Role = roles[name];
  return actions.includes(action);
}

/** The action that each call of the data plane needs. */
export const actionFor: Readonly<Record<Operation, Action>> = {
  setSecret: 'setSecret',
  getSecret: 'getSecret',
  updateSecret: 'update',
  listSecrets: 'readMetadata',
  listVersions: 'readMetadata',
  deleteSecret: 'delete',
  getDeletedSecret: 'readMetadata',
  listDeletedSecrets: 'readMetadata',
  recoverSecret: 'recover',
  purgeSecret: 'purge',
  backupSecret: 'backup',
  restoreSecret: 'restore',
};
