import type { Usage } from '@keyturn/source';
import type { Instance } from '../fleet/fleet.ts';
import type { SecretPolicy } from './secret-policy.ts';

/** Who is going to be refused for a while if the old credential is ended at once; one line each, by name. */
export function whatAnEmergencyBreaks(at: {
  readonly policy: SecretPolicy;
  readonly instances: readonly Instance[];
  readonly usage: Usage;
}): readonly string[] {
  const { policy, instances, usage } = at;
  const { emergencyMs = 60_000 } = policy;
  const consumers = policy.consumers.flatMap(({ name, reports, ttlMs, instances: expected }) => {
    if (!reports) return [`${name}: no client; it may keep the old value for ${ttlMs / 1_000} s`];
    const seen = instances.filter(({ consumer }) => consumer === name).length;
    return seen < expected ? [`${name}: ${expected - seen} of ${expected} instances are not to be seen`] : [];
  });
  const connected = `${instances.length} connected instances, those that don't adopt within ${emergencyMs / 1_000} s`;
  const sessions =
    usage === 'unknown' || usage.sessions.length === 0
      ? []
      : [`${usage.sessions.length} sessions of the old credential, those that are still open then`];
  return [...consumers, ...(instances.length > 0 ? [connected] : []), ...sessions];
}
