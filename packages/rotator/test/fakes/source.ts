import { SecretValue, SourceError, type CredentialRef, type Session, type Source } from '@keyturn/source';

type SlotName = 'a' | 'b';

interface Slot {
  ref: CredentialRef;
  value: SecretValue;
  sessions: Session[];
}

export interface FakeSource {
  readonly port: Source;
  /** Every value that was ever issued here. */
  readonly issued: readonly SecretValue[];
  /** What the source said no to, in order. */
  readonly refused: readonly SecretValue[];
  /** The credentials that are live now. */
  live(): readonly CredentialRef[];
  authenticates(value: SecretValue): boolean;
  isProven(value: SecretValue): boolean;
  sessionsOf(value: SecretValue): readonly Session[];
  /** A person sets the value of a slot by hand. */
  setByHand(slot: SlotName, ref: CredentialRef): SecretValue;
  /** Logs a client in; false if it is refused. */
  login(value: SecretValue, client: string): boolean;
  logout(client: string): void;
  /** The source loses a credential by itself: nobody revoked it, and it is refused from now on. */
  lose(value: SecretValue): void;
  /** True if the source lost this value by itself. */
  isLost(value: SecretValue): boolean;
  /** The next calls of this method fail with this error, without effect. */
  failNext(method: 'issue' | 'prove' | 'usage' | 'revoke' | 'list', error: SourceError, times?: number): void;
  /** The credential that holds this value now. */
  refOf(value: SecretValue): CredentialRef | undefined;
  tellsUsage(): boolean;
  /** From now on a revocation is answered and does nothing. */
  ignoreRevocations(): void;
  /** From now on it can't tell who uses a credential. */
  hideUsage(): void;
}

/** A source with two slots in memory. A ref is `slot#rotation`. */
export function openFakeSource(): FakeSource {
  const slots = new Map<SlotName, Slot>();
  const issued: SecretValue[] = [];
  const proven: SecretValue[] = [];
  const refused: SecretValue[] = [];
  const lost: SecretValue[] = [];
  const failures = new Map<string, { error: SourceError; left: number }>();
  let usageIsHidden = false;
  let revocationsAreIgnored = false;

  const holds = (values: readonly SecretValue[], value: SecretValue) =>
    values.some((one) => one.equals(value));
  const slotOf = (value: SecretValue) => [...slots.values()].find((slot) => slot.value.equals(value));
  const authenticates = (value: SecretValue) => slotOf(value) !== undefined && !holds(lost, value);

  function put(slot: SlotName, ref: CredentialRef): SecretValue {
    const value = new SecretValue(`planted-value-${issued.length + 1}-of-${slot}`);
    issued.push(value);
    slots.set(slot, { ref, value, sessions: slots.get(slot)?.sessions ?? [] });
    return value;
  }

  function failIfTold(method: string): void {
    const failure = failures.get(method);
    if (!failure || failure.left === 0) return;
    failure.left -= 1;
    throw failure.error;
  }

  const port: Source = {
    kind: 'fake',
    async issue(rotation, current) {
      failIfTold('issue');
      const slot = current?.startsWith('a') ? 'b' : 'a';
      const ref = `${slot}#${rotation}`;
      return { ref, value: put(slot, ref) };
    },
    async prove(value) {
      failIfTold('prove');
      if (authenticates(value)) return void proven.push(value);
      refused.push(value);
      throw new SourceError('REFUSED', 'The source refuses this value.');
    },
    async usage(ref) {
      failIfTold('usage');
      if (usageIsHidden) return 'unknown';
      return { sessions: [...slots.values()].find((slot) => slot.ref === ref)?.sessions ?? [] };
    },
    async revoke(ref) {
      failIfTold('revoke');
      if (revocationsAreIgnored) return;
      for (const [name, slot] of slots) if (slot.ref === ref) slots.delete(name);
    },
    async list() {
      failIfTold('list');
      return [...slots.values()].map(({ ref }) => ref);
    },
  };

  return {
    port,
    issued,
    refused,
    live: () => [...slots.values()].map(({ ref }) => ref),
    authenticates,
    isProven: (value) => holds(proven, value),
    sessionsOf: (value) => slotOf(value)?.sessions ?? [],
    setByHand: put,
    login(value, client) {
      if (!authenticates(value)) return false;
      slotOf(value)?.sessions.push({ client });
      return true;
    },
    logout(client) {
      for (const slot of slots.values()) slot.sessions = slot.sessions.filter((one) => one.client !== client);
    },
    lose: (value) => void lost.push(value),
    isLost: (value) => holds(lost, value),
    failNext: (method, error, times = 1) => void failures.set(method, { error, left: times }),
    refOf: (value) => slotOf(value)?.ref,
    tellsUsage: () => !usageIsHidden,
    ignoreRevocations() {
      revocationsAreIgnored = true;
    },
    hideUsage() {
      usageIsHidden = true;
    },
  };
}
