/** What a vault tells Event Grid about: without the prefix `Microsoft.KeyVault.`. */
export const eventTypes = ['SecretNewVersionCreated', 'SecretNearExpiry', 'SecretExpired'] as const;
export type EventType = (typeof eventTypes)[number];

/** Something that happened to a version. Times are epoch seconds, as on the wire. */
export interface VaultEvent {
  readonly type: EventType;
  readonly vault: string;
  readonly name: string;
  readonly version: string;
  /** The version's address, `https://NAME.vault.azure.net/secrets/name/version`. */
  readonly id: string;
  readonly notBefore?: number;
  readonly expires?: number;
}
