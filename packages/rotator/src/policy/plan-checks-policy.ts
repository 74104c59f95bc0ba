import type { Instance } from '../fleet/fleet.ts';
import { expiryFits } from './may-start.ts';
import { overlapArithmetic, overlapMs, overlapTooShort, shortestOverlapMs } from './overlap.ts';
import type { PlanCheck, Said } from './plan-facts.ts';
import type { Consumer } from './secret-policy.ts';
import { failed, notChecked, ok, refused, warn } from './said.ts';
import { vaultBudget, vaultLimits } from './vault-budget.ts';

/** Who would have to take up the new version, and whether they are there to do so. */
export const consumers: PlanCheck = ({ policy, instances }) => {
  if ('failure' in instances) {
    const { message, hint } = instances.failure;
    return [notChecked(message, hint), ...policy.consumers.map(declared)];
  }
  const known = new Set(policy.consumers.map(({ name }) => name));
  const strangers = instances.seen.filter(({ consumer }) => !known.has(consumer));
  return [
    ...policy.consumers.map((consumer) => seen(consumer, instances.seen)),
    ...strangers.map(({ consumer, instance }) =>
      warn(
        `${consumer}/${instance} uses it and is no configured consumer; its TTL is not in the overlap`,
        `Add ${consumer} with its TTL to the consumers of the secret.`,
      ),
    ),
  ];
};

function declared(consumer: Consumer): Said {
  const { name, ttlMs, reports, instances } = consumer;
  const counts = reports ? `${instances} instances are to report` : 'does not report';
  return notChecked(`${name}: TTL ${ttlMs / 1000} s, ${counts}`);
}

function seen({ name, ttlMs, reports, instances: expected }: Consumer, all: readonly Instance[]): Said {
  const ttl = `TTL ${ttlMs / 1000} s`;
  if (!reports) return ok(`${name}: ${ttl}, does not report; the clock and the source's usage speak for it`);
  const own = all.filter(({ consumer }) => consumer === name);
  const says = `${name}: ${ttl}, ${own.length} of ${expected} instances seen${onVersions(own)}`;
  if (own.length >= expected) return ok(says);
  return warn(says, 'The rotation would wait for the others and be held: start them, or lower `instances`.');
}

function onVersions(instances: readonly Instance[]): string {
  const counts = Map.groupBy(instances, ({ version }) => version);
  const parts = [...counts].map(([version, own]) => `${own.length} on ${version}`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

export const overlap: PlanCheck = ({ policy }) => {
  const tooShort = overlapTooShort(policy);
  if (tooShort !== undefined)
    return [refused({ reason: tooShort, hint: 'Raise the overlap, or lower the TTL of that consumer.' })];
  const asked = policy.overlapMs === undefined ? '' : `; the policy asks for ${policy.overlapMs / 1000} s`;
  return [ok(`${overlapMs(policy) / 1000} s at least: ${overlapArithmetic(policy)}${asked}`)];
};

/** Those that the policy expects count, whether they are seen or not. */
export const vaultRequests: PlanCheck = ({ policy, instances, versions }) => {
  const expected = policy.consumers.reduce((sum, one) => sum + one.instances, 0);
  const count = Math.max(expected, 'seen' in instances ? instances.seen.length : 0);
  const all = 'seen' in versions ? versions.seen.length : 1;
  const { creates, others, reads, spreadMs } = vaultBudget(policy, { instances: count, versions: all });
  const says =
    `${creates} create of the ${vaultLimits.creates} in 10 s; ${others} other requests of the rotator over the rotation, ` +
    `and ${reads} reads at once by as many instances, of the ${vaultLimits.others} in 10 s`;
  if (spreadMs === 0) return [ok(says)];
  return [warn(says, `The vault would throttle: the reads have to be spread over ${spreadMs / 1000} s.`)];
};

/** Below this, Key Vault's own near-expiry event would fire at once and for ever. */
const nearExpiryMs = 30 * 86_400_000;

export const expiry: PlanCheck = ({ policy, now, start }) => {
  const refusal = 'seen' in start ? expiryFits(start.seen) : undefined;
  if (refusal) return [refused(refusal)];
  const at = new Date(now + policy.validityMs).toISOString();
  const says = `the new version would expire at ${at}`;
  if (policy.validityMs > nearExpiryMs) return [ok(says)];
  return [ok(`${says}; with 30 days or less Keyturn's own schedule rotates it, not the near-expiry event`)];
};

/** When people would be told that not everyone has adopted. */
export const deadline: PlanCheck = ({ policy, now }) => {
  const at = new Date(now + policy.deadlineMs).toISOString();
  const says = `published now, it would be held at ${at} (${policy.deadlineMs / 1000} s) if not everyone has adopted`;
  if (policy.deadlineMs >= overlapMs(policy)) return [ok(says)];
  return [
    warn(
      `${says}, which is before the overlap of ${overlapMs(policy) / 1000} s is over`,
      `Raise the deadline above ${Math.max(overlapMs(policy), shortestOverlapMs(policy)) / 1000} s: else every rotation is held.`,
    ),
  ];
};

export const approval: PlanCheck = ({ policy, rotation }) => {
  if (!policy.needsApproval) return [];
  if ('failure' in rotation) return [failed(rotation.failure)];
  return [ok('it would wait until somebody else than who asks for it has agreed')];
};
