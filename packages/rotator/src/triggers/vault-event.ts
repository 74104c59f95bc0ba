/** What a vault told of a version of a secret. Its fields are safe to log: letters, digits and hyphens of known length. */
export interface VaultEvent {
  readonly kind: 'near expiry' | 'new version' | 'expired';
  /** `https://orders.vault.azure.net`: a label to compare, never an address to call, as it came from outside. */
  readonly vault: string;
  /** As the vault spells it; the names of secrets mean the same in capital and small letters. */
  readonly secret: string;
  readonly version: string;
  /** When it happened, milliseconds since 1970. */
  readonly at: number;
  /** Event Grid's own name for it. Copies of one delivery share it, a repetition by the vault does not. */
  readonly eventId: string;
}
