export type { EmulatorClock } from './clock.ts';
export { startEmulator, type Emulator, type EmulatorAddresses } from './emulator.ts';
export { EmulatorError, type EmulatorErrorCode, type Refusal } from './emulator-error.ts';
export type { Subscriptions } from './events/event-grid.ts';
export type { EventType } from './events/vault-event.ts';
export type { IdentityAccess, TokenSource } from './identity/access.ts';
export type { Identity } from './identity/directory.ts';
export type { Identities } from './identity/identities.ts';
export type { RoleName } from './identity/roles.ts';
export {
  settingsSchema,
  type CheckedSettings,
  type EmulatorOptions,
  type EmulatorSettings,
  type NewIdentity,
  type NewRoleAssignment,
  type NewSubscription,
} from './options.ts';
export type { Audit } from './vault/audit-trail.ts';
export type { AuditEvent } from './vault/audit.ts';
export type { Fault, FaultEffect, Faults } from './vault/faults.ts';
export type { Operation } from './vault/operations.ts';
