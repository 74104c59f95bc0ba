/** "Secret S now has version V": a name and a version, never a value. */
export interface Announcement {
  readonly secret: string;
  readonly version: string;
  /** Instances wait a random time up to this long before they read the vault, milliseconds. */
  readonly spreadMs: number;
}

/** What a running instance says of one secret. */
export interface Instance {
  readonly consumer: string;
  readonly instance: string;
  /** The version that its new logins use. */
  readonly version: string;
  /** Older versions that it still holds open. */
  readonly held: readonly string[];
  /** ISO 8601 of its last fresh login with `version`; absent if there was none yet. */
  readonly authenticatedAt?: string;
  /** The same of those that it holds, by version. */
  readonly heldAuthenticatedAt?: Readonly<Record<string, string>>;
  /** How often the source refused it, per version. */
  readonly refused: Readonly<Record<string, number>>;
}

/** The running instances: announcements out, adoption in. */
export interface Fleet {
  /**
   * Milliseconds since 1970. By then everyone who lives has reported to this process, and those who ended while
   * there was none no longer count.
   */
  readonly settledAt: number;
  /** Tells every connected instance, and each that connects later. Repeating it tells nothing new. */
  announce(announcement: Announcement): Promise<void>;
  /** The live instances that use a secret. One that fell silent counts as live until its lease has run out. */
  instances(secret: string): Promise<readonly Instance[]>;
}
