export type { AuditEntry } from './audit.ts';
export { startEmulator, type Emulator } from './emulator.ts';
export { EmulatorError, type EmulatorErrorCode, type Refusal } from './emulator-error.ts';
export type { Fault, FaultEffect, Faults, Operation } from './faults.ts';
export type { EmulatorOptions, InitialSecret } from './options.ts';
