import { approval, consumers, deadline, expiry, overlap, vaultRequests } from './plan-checks-policy.ts';
import { currentValue, idleSlot, parity, revocation, rightsAtSource, tags } from './plan-checks-source.ts';
import { mayGet, mayList, maySet, mayUpdate, whichOne } from './plan-checks-vault.ts';
import { windows } from './plan-checks-windows.ts';
import type { PlanCheck, PlanFacts, PlanFinding } from './plan-facts.ts';

/** Every check by its name, in the order in which people read them. */
export const planChecks: Readonly<Record<string, PlanCheck>> = {
  rotation: whichOne,
  'vault: get': mayGet,
  'vault: list': mayList,
  'vault: update': mayUpdate,
  'vault: set': maySet,
  'current value': currentValue,
  tags,
  'rights at the source': rightsAtSource,
  'free slot': idleSlot,
  'alternate login': parity,
  consumers,
  overlap,
  'vault requests': vaultRequests,
  revocation,
  expiry,
  deadline,
  windows,
  approval,
};

export function judgePlan(facts: PlanFacts): readonly PlanFinding[] {
  return Object.entries(planChecks).flatMap(([check, judge]) =>
    judge(facts).map((said) => ({ check, ...said })),
  );
}
