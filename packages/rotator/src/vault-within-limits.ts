import type { Clock } from './clock.ts';
import { vaultLimits } from './policy/vault-budget.ts';
import type { Vault } from './vault.ts';

/** Of what Key Vault allows everybody together: steadily, and at once after a pause. The rest is for others. */
const steadyShare = 0.6;
const burstShare = 0.3;

/**
 * The vault, asked no more often than Key Vault bears: in no ten seconds are there more than nine tenths of what it
 * allows, divided by how many rotators share the vault at that moment. Who has to wait, waits in the order of asking.
 */
export function withinLimits(
  vault: Vault,
  { clock, replicas = () => 1 }: { readonly clock: Clock; readonly replicas?: () => number },
): Vault {
  const creates = gate({ limit: vaultLimits.creates, clock, replicas });
  const others = gate({ limit: vaultLimits.others, clock, replicas });
  return {
    url: vault.url,
    async current(secret) {
      await others(1);
      return vault.current(secret);
    },
    async versions(secret) {
      await others(1);
      return vault.versions(secret);
    },
    async read(secret, version) {
      await others(1);
      return vault.read(secret, version);
    },
    async publish(secret, value, properties) {
      await Promise.all([creates(1), others(1)]); // it reads the tags of the current version first
      return vault.publish(secret, value, properties);
    },
    async tag(secret, version, tags) {
      await others(2); // so does this
      return vault.tag(secret, version, tags);
    },
    async disable(secret, version, tags) {
      await others(2);
      return vault.disable(secret, version, tags);
    },
  };
}

/** Lets requests through at a steady pace, and some at once after a pause. */
function gate(at: {
  readonly limit: number;
  readonly clock: Clock;
  readonly replicas: () => number;
}): (requests: number) => Promise<void> {
  const { limit, clock, replicas } = at;
  let next = -Infinity; // when the one after the last goes, if nobody pauses
  let last: Promise<void> = Promise.resolve();

  async function pass(requests: number): Promise<void> {
    const share = limit / Math.max(1, replicas());
    const eachMs = vaultLimits.withinMs / (share * steadyShare);
    const aheadMs = eachMs * share * burstShare;
    next = Math.max(next, clock.now() - aheadMs) + requests * eachMs;
    const waitMs = next - clock.now();
    if (waitMs > 0) await clock.sleep(waitMs);
  }

  // One after the other: how long each waits is decided when it is its turn, by how many share the vault then.
  return (requests) => (last = last.then(() => pass(requests)));
}
