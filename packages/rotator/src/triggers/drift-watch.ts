import type { Clock } from '../clock.ts';
import type { Drift } from '../drift.ts';

/** Looks at each secret again and again for what is not as the last rotation left it. It changes nothing. */
export interface DriftWatch {
  /** How many findings the last look had; undefined before the first. */
  findings(secret: string): number | undefined;
  stop(): void;
}

/** So soon does it notice that it was stopped. */
const longestSleepMs = 60_000;

/**
 * Secret after secret, spread evenly over `everyMs`, so that many secrets are no burst at the vault or the sources.
 * Tells of findings when they are new or others than at the look before, and once when they are gone.
 */
export function watchDrift(at: {
  readonly secrets: readonly string[];
  /** How often each secret is looked at, milliseconds. */
  readonly everyMs: number;
  readonly clock: Clock;
  /** Undefined while the secret is being rotated. */
  readonly find: (secret: string) => Promise<Drift | undefined>;
  readonly changed: (drift: Drift) => void;
  readonly failed: (secret: string, error: unknown) => void;
}): DriftWatch {
  const { secrets, everyMs, clock, find, changed, failed } = at;
  const known = new Map<string, Drift>();
  let stopped = false;

  async function look(secret: string): Promise<void> {
    const drift = await find(secret);
    if (drift === undefined || stopped) return;
    const before = known.get(secret);
    known.set(secret, drift);
    if (said(drift) !== (before ? said(before) : nothing)) changed(drift);
  }

  async function rest(forMs: number): Promise<void> {
    const until = clock.now() + forMs;
    while (!stopped && clock.now() < until) await clock.sleep(Math.min(longestSleepMs, until - clock.now()));
  }

  async function work(): Promise<void> {
    while (!stopped)
      for (const secret of secrets) {
        await rest(everyMs / secrets.length);
        if (stopped) return;
        await look(secret).catch((error: unknown) => {
          if (!stopped) failed(secret, error);
        });
      }
  }
  if (secrets.length > 0) void work();

  return {
    findings: (secret) => known.get(secret)?.findings.length,
    stop() {
      stopped = true;
    },
  };
}

/** What it is about: in how many words it is said, and who uses it at the moment, is no news. */
const said = ({ findings }: Drift): string =>
  JSON.stringify(findings.map(({ check, version, ref }) => [check, version, ref]));
const nothing = '[]';
