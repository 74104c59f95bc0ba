import type { RotationRecord } from '../events.ts';
import type { RotationState, RotationStatus } from '../operations.ts';
import { replacedVersion } from '../rotation.ts';

/** How a rotation stands after one more thing has happened to it. Pure: the same records give the same status. */
export function statusAfter(before: RotationStatus | undefined, record: RotationRecord): RotationStatus {
  const status = { ...(before ?? begun(record)), updatedAt: record.at };
  switch (record.kind) {
    case 'requested':
      return {
        ...without(status, 'endedAt', 'outcome', 'failure'),
        state: 'running',
        requested: record.request,
      };
    case 'phase':
      return { ...status, phase: record.phase, ...stateIn(status.state) };
    case 'awaiting approval':
      return { ...status, state: 'awaiting approval', requested: record.request };
    case 'standing': {
      const { version, verdicts, instances } = record;
      const stragglers = verdicts.flatMap((verdict) => verdict.stragglers);
      return { ...status, version, verdicts, instances, stragglers };
    }
    case 'held':
      return { ...status, state: 'held', stragglers: record.stragglers };
    case 'order':
      return { ...status, orders: [...status.orders, record.given] };
    case 'failed': {
      const { code, message, hint } = record;
      const failure = { code, message, ...(hint === undefined ? {} : { hint }) };
      const state = code === 'ABORTED' ? 'aborted' : 'failed';
      return { ...over(status), state, failure, endedAt: record.at };
    }
    case 'ended': {
      const { outcome } = record;
      return {
        ...over(status),
        state: outcome.outcome,
        outcome,
        version: outcome.version,
        endedAt: record.at,
      };
    }
    case 'alarm':
    case 'retrying':
    case 'rejected':
    case 'emergency':
      return status;
  }
}

/** Does a record tell more than the one before it of its kind? While it waits, one like the other comes every 2 s. */
export function isNews(before: RotationStatus | undefined, record: RotationRecord): boolean {
  if (record.kind !== 'standing') return true;
  const after = statusAfter(before, record);
  return visible(before) !== visible(after);
}

function visible(status: RotationStatus | undefined): string {
  const { version, verdicts = [], instances = [], stragglers } = status ?? {};
  const passed = verdicts.map((verdict) => [verdict.check, verdict.passed]);
  const adopted = instances.map(({ consumer, instance, ...one }) => [
    consumer,
    instance,
    one.version,
    one.held,
  ]);
  return JSON.stringify([version, passed, adopted, stragglers]);
}

function begun({ rotation, at }: RotationRecord): RotationStatus {
  const from = replacedVersion(rotation);
  return {
    id: rotation,
    secret: rotation.slice(0, -from.length - 1),
    from,
    state: 'running',
    requested: { who: 'nobody was noted', why: '', at },
    orders: [],
    updatedAt: at,
    stragglers: [],
  };
}

/** A phase that begins ends a waiting, but for the one that a held rotation goes on with. */
function stateIn(state: RotationState): { readonly state: RotationState } {
  return { state: state === 'held' ? 'held' : 'running' };
}

const over = (status: RotationStatus): RotationStatus => ({
  ...without(status, 'phase', 'verdicts', 'instances'),
  stragglers: [],
});

function without(status: RotationStatus, ...keys: readonly (keyof RotationStatus)[]): RotationStatus {
  const left = Object.entries(status).filter(([key]) => !(keys as readonly string[]).includes(key));
  return Object.fromEntries(left) as unknown as RotationStatus;
}
