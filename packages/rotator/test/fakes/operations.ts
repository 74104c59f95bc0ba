import type { RotationRecord } from '../../src/events.ts';
import type {
  By,
  Foreseen,
  GivenOrder,
  Operations,
  RotationStatus,
  SecretStatus,
} from '../../src/operations.ts';
import { RotatorError } from '../../src/rotator-error.ts';

/** A rotator's operations in memory; what it holds is set by the test. */
export interface MemoryOperations extends Operations {
  readonly secretStates: Map<string, SecretStatus>;
  readonly foreseen: Map<string, Foreseen>;
  /** Newest first. */
  readonly rotationStates: RotationStatus[];
  readonly stories: Map<string, readonly RotationRecord[]>;
  /** What is away. */
  readonly problems: string[];
  /** Who watches. */
  readonly watchers: ReadonlySet<(record: RotationRecord) => void>;
  emit(record: RotationRecord): void;
}

export const at = '2026-11-23T10:00:00.000Z';

/** A rotation that converges. */
export function convergingRotation(changes: Partial<RotationStatus> = {}): RotationStatus {
  return {
    id: 'orders-db@1f3c00',
    secret: 'orders-db',
    from: '1f3c00',
    state: 'running',
    phase: 'converge',
    version: '88cc69aa',
    requested: { who: 'alice@example.com', id: 'id-alice', why: 'quarterly', at },
    orders: [],
    updatedAt: at,
    stragglers: ['orders-api/orders-api-2'],
    ...changes,
  };
}

export function openMemoryOperations(): MemoryOperations {
  const secretStates = new Map<string, SecretStatus>([
    ['orders-db', { secret: 'orders-db', source: 'postgres', version: '1f3c00' }],
    ['billing-db', { secret: 'billing-db', source: 'postgres', version: '2a' }],
  ]);
  const foreseen = new Map<string, Foreseen>();
  const rotationStates: RotationStatus[] = [];
  const stories = new Map<string, readonly RotationRecord[]>();
  const watchers = new Set<(record: RotationRecord) => void>();
  const problems: string[] = [];

  const known = (name: string): SecretStatus => {
    const found = secretStates.get(name);
    if (found) return found;
    throw new RotatorError('UNKNOWN_SECRET', `The secret ${name} is not configured.`, {
      hint: `Configured: ${[...secretStates.keys()].join(', ')}.`,
    });
  };
  const remembered = (id: string): RotationStatus => {
    const found = rotationStates.find((one) => one.id === id);
    if (found) return found;
    throw new RotatorError('UNKNOWN_ROTATION', `No rotation ${id} is remembered.`);
  };
  const put = (status: RotationStatus): void => {
    const index = rotationStates.findIndex(({ id }) => id === status.id);
    if (index === -1) rotationStates.unshift(status);
    else rotationStates[index] = status;
    const secret = known(status.secret);
    secretStates.set(status.secret, { ...secret, open: status });
  };
  const give = (id: string, order: GivenOrder['order'], by: By): void => {
    const status = remembered(id);
    if (status.endedAt !== undefined) throw new RotatorError('NOT_OPEN', `The rotation ${id} has ended.`);
    put({ ...status, orders: [...status.orders, { ...by, order, at }] });
  };

  return {
    secretStates,
    foreseen,
    rotationStates,
    stories,
    problems,
    watchers,
    emit(record) {
      for (const watcher of watchers) watcher(record);
    },
    secrets: async () => [...secretStates.values()],
    secret: async (name) => known(name),
    foresee: async (name) => foreseen.get(known(name).secret) ?? { secret: name, breaks: [], notChecked: [] },
    async rotations({ secret, limit }) {
      if (secret !== undefined) known(secret);
      return rotationStates.filter((one) => secret === undefined || one.secret === secret).slice(0, limit);
    },
    rotation: async (id) => remembered(id),
    async story(id) {
      remembered(id);
      return stories.get(id) ?? [];
    },
    async start({ secret, by, compromised }) {
      const { version = '1', open } = known(secret);
      if (open && open.endedAt === undefined) return open;
      const status = convergingRotation({
        id: `${secret}@${version}`,
        secret,
        from: version,
        phase: 'preflight',
        stragglers: [],
        requested: { ...by, at, ...(compromised === undefined ? {} : { compromised }) },
      });
      put(status);
      return status;
    },
    order: async (id, order, by) => give(id, order, by),
    async approve(id, by) {
      const { requested } = remembered(id);
      if ((requested.id ?? requested.who) === (by.id ?? by.who))
        throw new RotatorError('NOT_ALLOWED', `${by.who} asked for ${id} and may not approve it.`, {
          hint: 'Somebody else with the role approver has to.',
        });
      give(id, 'approve', by);
    },
    watch(listener) {
      watchers.add(listener);
      return () => watchers.delete(listener);
    },
    ready: async () => ({ ready: problems.length === 0, problems }),
  };
}
