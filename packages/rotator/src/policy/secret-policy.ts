import type { MaintenanceWindow } from './window.ts';

/** An application that uses the secret, and how fast it takes up a new version. */
export interface Consumer {
  readonly name: string;
  /** The longest it serves a version from its cache, milliseconds. */
  readonly ttlMs: number;
  /** How many instances must report before their silence can't be mistaken for adoption. */
  readonly instances: number;
  /** False for a consumer that doesn't run the client: the clock and the source's usage speak for it. */
  readonly reports: boolean;
}

/** How one secret is rotated. All times are milliseconds. */
export interface SecretPolicy {
  readonly secret: string;
  readonly consumers: readonly Consumer[];
  /** It is rotated after this long without anybody asking; up to a tenth earlier. */
  readonly everyMs?: number;
  /** The schedule and events start it only while one of them is open; at any time if absent. */
  readonly windows?: readonly MaintenanceWindow[];
  /** How long a new version is meant to live: its expiry in the vault. */
  readonly validityMs: number;
  /** How far the clocks of rotator, vault and instances may differ. */
  readonly clockSkewMs: number;
  /** The overlap window is at least this long; the shortest safe one if absent. */
  readonly overlapMs?: number;
  /** After this long without convergence the rotation is held and people are told. */
  readonly deadlineMs: number;
  /** Nothing is done before somebody else than who asked for it has agreed. Not in an emergency. */
  readonly needsApproval?: boolean;
  /** In an emergency the old credential is ended after this long at the latest; default 60,000. */
  readonly emergencyMs?: number;
  /** The new version is taken back if nobody has logged in with it for this long after convergence; never if absent. */
  readonly freshLoginWithinMs?: number;
  /** How often adoption and usage are looked at while waiting. */
  readonly pollMs: number;
  /** A request to the vault that has had no answer for this long is given up. */
  readonly requestTimeoutMs: number;
  /** A phase that fails for a passing reason is tried again for this long. */
  readonly retryForMs: number;
}
