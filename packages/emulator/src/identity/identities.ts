import { readIdentity, readRoleAssignment, type NewIdentity, type NewRoleAssignment } from '../options.ts';
import type { IdentityAccess } from './access.ts';
import type { Directory, Identity } from './directory.ts';

/** Who may do what, changed while the emulator runs: `vault.identities`. */
export interface Identities {
  /** Adds an identity, or replaces the one of that name together with its roles. Throws `OPTIONS_INVALID`. */
  add(identity: NewIdentity): IdentityAccess;
  /** Throws `OPTIONS_INVALID` when there is none of that name. */
  get(name: string): IdentityAccess;
  list(): readonly IdentityAccess[];
  /** Effective at once; on Azure it takes minutes. */
  assign(name: string, role: NewRoleAssignment): void;
  unassign(name: string, role: NewRoleAssignment): void;
}

export function createIdentities(
  directory: Directory,
  accessOf: (identity: Identity) => IdentityAccess,
): Identities {
  return {
    add: (identity) => accessOf(directory.add(readIdentity(identity))),
    get: (name) => accessOf(directory.get(name)),
    list: () => directory.all().map(accessOf),
    assign: (name, role) => directory.assign(name, readRoleAssignment(role)),
    unassign: (name, role) => directory.unassign(name, readRoleAssignment(role)),
  };
}
