import type { Announcements } from '../fleet/announcements.ts';
import type { Clock } from '../clock.ts';
import type { Vault, VaultVersion } from '../vault.ts';

/** What was seen of a secret in the vault. */
export interface Seen extends VaultVersion {
  /** Milliseconds since 1970. */
  readonly seenAt: number;
}

/** Looks at the vault again and again, so that a version is announced whoever has published it. */
export interface VaultWatch {
  /** Looks at one secret now. Throws what the vault threw. */
  look(secret: string): Promise<Seen>;
  /** What was seen last. */
  seen(secret: string): Seen | undefined;
  /** Was it seen so lately that instances may rely on announcements? */
  isWatched(secret: string): boolean;
  stop(): void;
}

/** A secret that was not to be seen for so many rounds counts as not watched. */
const missedRounds = 3;
/** One reader for so many secrets, so that a slow answer holds up few. */
const secretsPerReader = 500;

export function watchVault(at: {
  readonly vault: Vault;
  readonly secrets: readonly string[];
  /** How often each secret is looked at, milliseconds. */
  readonly everyMs: number;
  readonly announcements: Announcements;
  readonly spreadMs: () => number;
  readonly clock: Clock;
  readonly changed: (secret: string, seen: Seen) => void;
  readonly failed: (secret: string, error: unknown) => void;
}): VaultWatch {
  const { vault, secrets, everyMs, announcements, clock } = at;
  const known = new Map<string, Seen>();
  let stopped = false;

  async function look(secret: string): Promise<Seen> {
    const before = announcements.standing(secret);
    const { value: _letGo, ...version } = await vault.current(secret);
    const seen = { ...version, seenAt: clock.now() };
    const isNews = known.get(secret)?.version !== seen.version;
    known.set(secret, seen);
    // If another one was announced since, that is younger than what was read here.
    if (before?.version !== seen.version)
      await announcements.announce(
        { secret, version: seen.version, spreadMs: at.spreadMs() },
        { onlyAfter: before?.id ?? 0 },
      );
    if (isNews) at.changed(secret, seen);
    return seen;
  }

  async function read(own: readonly string[]): Promise<void> {
    while (!stopped) {
      for (const secret of own) {
        if (stopped) return;
        await look(secret).catch((error: unknown) => {
          if (!stopped) at.failed(secret, error); // who stops takes the database away
        });
        await clock.sleep(everyMs / own.length);
      }
    }
  }

  const readers = Math.ceil(secrets.length / secretsPerReader);
  for (let number = 0; number < readers; number += 1)
    void read(secrets.filter((_secret, index) => index % readers === number));

  return {
    look,
    seen: (secret) => known.get(secret),
    isWatched: (secret) => (known.get(secret)?.seenAt ?? 0) >= clock.now() - missedRounds * everyMs,
    stop() {
      stopped = true;
    },
  };
}
