/** Whom the emulator knows when the suite starts it: one identity for each thing that a role decides. */
const known = {
  caller: { systemAssigned: true, roles: [{ role: 'Key Vault Administrator' }] },
  officer: { roles: [{ role: 'Key Vault Secrets Officer', scope: 'conformance' }] },
  user: { roles: [{ role: 'Key Vault Secrets User', scope: 'conformance' }] },
  reader: { roles: [{ role: 'Key Vault Reader', scope: 'conformance' }] },
  userOfOneSecret: { roles: [{ role: 'Key Vault Secrets User', scope: 'conformance/granted' }] },
  nobody: { roles: [] },
} as const;

export type IdentityName = keyof typeof known;

const numbered = (digit: number, part: string): string => `${part}0000000-0000-4000-8000-00000000000${digit}`;

export const identities = Object.entries(known).map(([name, settings], index) => ({
  name,
  ...settings,
  roles: [...settings.roles],
  clientId: numbered(index, 'c'),
  objectId: numbered(index, 'b'),
  resourceId: `/subscriptions/${numbered(0, 'a')}/resourcegroups/conformance/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`,
}));

export function identityNamed(name: IdentityName) {
  const found = identities.find((identity) => identity.name === name);
  if (found === undefined) throw new Error(`There is no identity ${name}.`);
  return found;
}

/** Two secrets that are there from the start, so that a role can be scoped to one of them. */
export const standingSecrets = [
  { name: 'granted', value: 'value of granted' },
  { name: 'withheld', value: 'value of withheld' },
];
