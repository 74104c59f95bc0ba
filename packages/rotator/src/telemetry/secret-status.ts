/** What a snapshot of the rotator says of one configured secret. All times are milliseconds since 1970. */
export interface SecretStatus {
  readonly secret: string;
  /** When the current version was published; absent while the vault has not been read. */
  readonly publishedAt?: number;
  /** When the current version expires; absent if it has no expiry. */
  readonly expiresAt?: number;
  /** When the new version of the open rotation was published; absent if no overlap window is open. */
  readonly overlapOpenedAt?: number;
  /** How many findings the last look for drift had; absent before the first. */
  readonly drifted?: number;
}

/** What metrics are made of besides the rotations' own records. */
export interface RotatorStatus {
  readonly secrets: readonly SecretStatus[];
  readonly connectedInstances: number;
}
