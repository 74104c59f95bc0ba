import type { Subject } from './subject.ts';

/** What a check needs besides a vault with its default behaviour. Only an emulator can give most of it. */
export type Need =
  | 'purge'
  | 'identities'
  | 'identityEndpoint'
  | 'slowDeletion'
  | 'shortRetention'
  | 'emptyPages'
  | 'throttling';

/** Why a check is skipped when the subject hasn't what it needs. */
export const withoutIt: Readonly<Record<Need, string>> = {
  purge: 'the caller may not purge, or the vault is protected from it',
  identities: 'needs identities with known roles besides the caller',
  identityEndpoint: 'needs an identity endpoint to talk to',
  slowDeletion: 'needs deletions and recoveries that take a set time',
  shortRetention: 'needs a vault that keeps deleted secrets for 7 days',
  emptyPages: 'needs lists that have empty pages for certain',
  throttling: 'needs a vault that nobody minds being throttled',
};

/** One statement about Key Vault, true of the service and of every faithful emulator. */
export interface Check {
  /** A sentence that is true when the check passes. */
  readonly name: string;
  /** Where the statement is known from: a place in the facts, with its letter where it has one (E, R, P, D). */
  readonly source: string;
  readonly needs?: Need;
  /** Throws when the statement doesn't hold. It makes its own secrets and expects others beside them. */
  readonly run: (vault: Subject) => Promise<void>;
}

export interface Theme {
  readonly name: string;
  readonly checks: readonly Check[];
}

/** Names a place under "Data plane behaviour", the section that most checks come from. */
export const dataPlane = (place: string): string => `key-vault.md: Data plane behaviour: ${place}`;
