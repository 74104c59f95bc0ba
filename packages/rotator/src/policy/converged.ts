import type { Usage } from '@keyturn/source';
import type { Instance } from '../fleet/fleet.ts';
import { overlapMs } from './overlap.ts';
import type { SecretPolicy } from './secret-policy.ts';

/** All that is known when one asks: may the old credential go? */
export interface ConvergenceFacts {
  readonly policy: SecretPolicy;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly publishedAt: number;
  /** The version that everyone is to use. */
  readonly version: string;
  /** The live instances of the fleet. */
  readonly instances: readonly Instance[];
  /** What the source says of the credential that is leaving. */
  readonly usage: Usage;
}

/** What one check says. Only `passed: true` or 'not checked' lets the rotation go on. */
export interface Verdict {
  readonly check: 'clock' | 'adoption' | 'usage';
  readonly passed: boolean | 'not checked';
  readonly why: string;
  /** Who keeps the overlap window open, by name. */
  readonly stragglers: readonly string[];
}

type Check = (facts: ConvergenceFacts) => Verdict;

/** Convergence is all three together: no one of them is evidence enough. */
export const convergenceChecks: readonly Check[] = [clock, adoption, usage];

export function judgeConvergence(facts: ConvergenceFacts): readonly Verdict[] {
  return convergenceChecks.map((check) => check(facts));
}

export function hasConverged(verdicts: readonly Verdict[]): boolean {
  return verdicts.every(({ passed }) => passed !== false);
}

/** The shortest safe time has passed, so that even an instance nobody hears of has read the vault again. */
function clock({ policy, now, publishedAt }: ConvergenceFacts): Verdict {
  const leftMs = publishedAt + overlapMs(policy) - now;
  return {
    check: 'clock',
    passed: leftMs <= 0,
    why:
      leftMs <= 0
        ? 'the shortest safe time has passed'
        : `${(leftMs / 1000).toFixed(1)} s of the shortest safe time left`,
    stragglers: [],
  };
}

/** Every live instance uses the new version and holds no other open, and no expected instance is silent. */
function adoption({ policy, version, instances }: ConvergenceFacts): Verdict {
  const reporting = policy.consumers.filter(({ reports }) => reports);
  // One that reports although nobody expects it is evidence all the same.
  if (reporting.length === 0 && instances.length === 0) {
    return { check: 'adoption', passed: 'not checked', why: 'no consumer reports', stragglers: [] };
  }
  const behind = instances
    .filter((instance) => instance.version !== version || instance.held.length > 0)
    .map(({ consumer, instance }) => `${consumer}/${instance}`);
  const silent = reporting.flatMap(({ name, instances: expected }) => {
    const seen = instances.filter(({ consumer }) => consumer === name).length;
    return seen < expected ? [`${name} (${expected - seen} of ${expected} instances silent)`] : [];
  });
  const stragglers = [...behind, ...silent];
  return {
    check: 'adoption',
    passed: stragglers.length === 0,
    why: `${instances.length - behind.length} of ${instances.length} instances have adopted it`,
    stragglers,
  };
}

/** The source itself sees nobody on the credential that is leaving. */
function usage(facts: ConvergenceFacts): Verdict {
  if (facts.usage === 'unknown') {
    return {
      check: 'usage',
      passed: 'not checked',
      why: "the source can't tell who uses it",
      stragglers: [],
    };
  }
  const { sessions } = facts.usage;
  return {
    check: 'usage',
    passed: sessions.length === 0,
    why:
      sessions.length === 0
        ? 'no session uses the old credential'
        : `${sessions.length} sessions use the old credential`,
    stragglers: sessions.map(({ client }) => `session of ${client || 'an unnamed client'}`),
  };
}
