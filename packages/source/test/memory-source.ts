import { randomBytes } from 'node:crypto';
import { SecretValue, SourceError, type CredentialRef, type Session, type Source } from '@keyturn/source';
import type { HeldSession, SourceUnderTest } from '@keyturn/source/contract';

/** A way in which the source below is broken on purpose. */
export type Fault =
  | 'none'
  | 'issue alters current'
  | 'issue adds and never replaces'
  | 'issue keeps replaced sessions'
  | 'issue guesses what is current'
  | 'issue uses one slot only'
  | 'issued values do not work'
  | 'ref without generation'
  | 'revoke fails on what is gone'
  | 'revoke does nothing'
  | 'revoke leaves sessions'
  | 'prove says yes to everything'
  | 'prove takes silence for a refusal'
  | 'silence looks empty'
  | 'usage misses sessions'
  | 'usage counts sessions of others'
  | 'list includes the dead'
  | 'list forgets'
  | 'inspect alters something'
  | 'inspect claims what others issued'
  | 'inspect cries wolf'
  | 'inspect takes silence for health'
  | 'value in the message'
  | 'value in the cause'
  | 'value in a hidden property';

interface Credential {
  readonly ref: CredentialRef;
  readonly slot: 'a' | 'b';
  rotation: string;
  text: string;
  live: boolean;
  readonly sessions: Set<object>;
}

/** Passwords in memory, in two slots; with a fault, a source that breaks one promise. */
export function openMemorySource(fault: Fault = 'none'): SourceUnderTest {
  const credentials: Credential[] = [];
  const add = (fields: { ref: string; slot: 'a' | 'b'; rotation: string }): Credential => {
    const made = {
      ...fields,
      text: `pw-${randomBytes(12).toString('hex')}`,
      live: true,
      sessions: new Set<object>(),
    };
    credentials.push(made);
    return made;
  };
  const first = add({ ref: 'a', slot: 'a', rotation: '' });
  const live = () => credentials.filter((one) => one.live);
  const holding = (value: SecretValue) => live().find(({ text }) => text === value.reveal());

  function refused(value: SecretValue): SourceError {
    const text = value.reveal();
    if (fault === 'value in the message') return new SourceError('REFUSED', `wrong: ${text}`);
    if (fault === 'value in the cause')
      return new SourceError('REFUSED', 'wrong', {
        cause: Object.assign(new Error('no'), { password: text }),
      });
    const error = new SourceError('REFUSED', 'wrong');
    if (fault === 'value in a hidden property') Object.defineProperty(error, 'sent', { value: text });
    return error;
  }

  function whichIsCurrent(rotation: string, ref: CredentialRef | undefined): Credential {
    const known = live().find((one) => one.ref === ref);
    if (known) return known;
    const [only, ...more] = live().filter((one) => one.rotation !== rotation);
    if (only && (more.length === 0 || fault === 'issue guesses what is current')) return only;
    throw new SourceError('AMBIGUOUS', 'two are live');
  }

  function end(one: Credential, sessionsToo: boolean): void {
    one.live = false;
    if (sessionsToo) one.sessions.clear();
  }

  const source: Source = {
    kind: 'memory',
    async issue(rotation, ref) {
      const current = whichIsCurrent(rotation, ref);
      if (fault === 'issue alters current') current.text = 'altered';
      const other = current.slot === 'a' ? 'b' : 'a';
      const slot = fault === 'issue uses one slot only' ? 'b' : other;
      for (const one of live().filter((held) => held.slot === slot))
        if (fault !== 'issue adds and never replaces') end(one, fault !== 'issue keeps replaced sessions');
      const name = fault === 'ref without generation' ? slot : `${slot}#${rotation}`;
      const made = add({ ref: name, slot, rotation });
      const text = fault === 'issued values do not work' ? 'nonsense' : made.text;
      return { ref: made.ref, value: new SecretValue(text) };
    },
    async prove(value) {
      if (holding(value) === undefined && fault !== 'prove says yes to everything') throw refused(value);
    },
    async usage(ref) {
      const all = credentials.filter((one) => one.ref === ref || fault === 'usage counts sessions of others');
      const sessions = all.flatMap((one) => [...one.sessions]).map((): Session => ({ client: 'test' }));
      return { sessions: fault === 'usage misses sessions' ? [] : sessions };
    },
    async revoke(ref) {
      const found = live().filter((one) => one.ref === ref);
      if (found.length === 0 && fault === 'revoke fails on what is gone')
        throw new SourceError('UNEXPECTED', 'no such credential');
      if (fault === 'revoke does nothing') return;
      for (const one of found) end(one, fault !== 'revoke leaves sessions');
    },
    async list() {
      const all = fault === 'list includes the dead' ? credentials : live();
      return all.map(({ ref }) => ref).slice(0, fault === 'list forgets' ? 1 : undefined);
    },
    async inspect({ rotations }) {
      if (fault === 'inspect alters something') first.rotation = 'touched';
      const mine = live().filter(
        ({ rotation }) => rotations.includes(rotation) || fault === 'inspect claims what others issued',
      );
      const mark = fault === 'inspect cries wolf' ? 'stop' : 'ok';
      return {
        findings: [{ about: 'rights', mark, says: 'it may do anything' }],
        issued: mine.map((one) => ({ ref: one.ref, rotation: one.rotation })),
      };
    },
  };

  const silent: Source = {
    kind: 'memory',
    issue: silence,
    prove: async (value) =>
      fault === 'prove takes silence for a refusal' ? Promise.reject(refused(value)) : silence(),
    usage: silence,
    revoke: silence,
    list: () => (fault === 'silence looks empty' ? Promise.resolve([]) : silence()),
    inspect: () =>
      fault === 'inspect takes silence for health'
        ? Promise.resolve({ findings: [], issued: [] })
        : silence(),
  };

  return {
    source,
    currentValue: new SecretValue(first.text),
    async login(value): Promise<HeldSession> {
      const session = {};
      const credential = holding(value);
      credential?.sessions.add(session);
      return {
        works: async () => credential?.sessions.has(session) ?? false,
        close: async () => void credential?.sessions.delete(session),
      };
    },
    unreachable: async (value) => ({ source: silent, value }),
    settleMs: 50,
    state: async () => credentials.map(({ sessions, ...one }) => ({ ...one, sessions: sessions.size })),
    close: () => Promise.resolve(),
  };
}

function silence(): Promise<never> {
  return Promise.reject(new SourceError('UNREACHABLE', 'no answer'));
}
