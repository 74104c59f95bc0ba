import { SecretValue, SourceError, type CredentialRef, type Issued, type Usage } from '@keyturn/source';

export type SlotName = 'a' | 'b';

/** What a source once took, or nothing ever did. */
export interface Credential {
  readonly slot: SlotName | undefined;
  readonly ref: CredentialRef;
  readonly value: SecretValue;
  /** The source takes it. */
  alive: boolean;
  /** It is refused, and that is nobody's doing here: the source lost it, or a person changed it. */
  lost: boolean;
  /** The source has said yes to it. */
  proven: boolean;
  /** The source has said no to it. */
  refused: boolean;
  /** Who is logged in with it. */
  readonly sessions: Set<string>;
}

/** In every value, so that one search finds whichever has leaked. */
export const mark = 'planted-value';

/** A source with two slots. What it does it does at once; the network is elsewhere. */
export interface SimulatedSource {
  readonly issued: readonly Credential[];
  tellsUsage: boolean;
  ignoresRevocations: boolean;
  issue(rotation: string, current: CredentialRef | undefined): Issued;
  prove(value: SecretValue): void;
  usage(ref: CredentialRef): Usage;
  revoke(ref: CredentialRef): void;
  list(): readonly CredentialRef[];
  live(): readonly Credential[];
  credentialOf(value: SecretValue): Credential;
  /** Puts a new password into a slot, whoever does so. */
  put(slot: SlotName, ref: CredentialRef): Credential;
}

export function openSource(at: {
  readonly tellsUsage: boolean;
  readonly ignoresRevocations: boolean;
  /** A credential is about to be refused from now on. */
  readonly ended: (credential: Credential) => void;
}): SimulatedSource {
  const slots = new Map<SlotName, Credential>();
  const issued: Credential[] = [];
  const byText = new Map<string, Credential>();

  function put(slot: SlotName, ref: CredentialRef): Credential {
    const former = slots.get(slot);
    if (former) end(former);
    const value = new SecretValue(`${mark}-${issued.length + 1}`);
    const credential: Credential = {
      slot,
      ref,
      value,
      alive: true,
      lost: false,
      proven: false,
      refused: false,
      sessions: new Set(),
    };
    issued.push(credential);
    byText.set(value.reveal(), credential);
    slots.set(slot, credential);
    return credential;
  }

  function end(credential: Credential): void {
    at.ended(credential);
    credential.alive = false;
    credential.sessions.clear();
  }

  function credentialOf(value: SecretValue): Credential {
    const known = byText.get(value.reveal());
    if (known) return known;
    const rubbish: Credential = {
      slot: undefined,
      ref: 'rubbish',
      value,
      alive: false,
      lost: true,
      proven: false,
      refused: false,
      sessions: new Set(),
    };
    byText.set(value.reveal(), rubbish);
    return rubbish;
  }

  const live = (): Credential[] => [...slots.values()];
  const source: SimulatedSource = {
    issued,
    tellsUsage: at.tellsUsage,
    ignoresRevocations: at.ignoresRevocations,
    issue(rotation, current) {
      const slot = current?.startsWith('a') ? 'b' : 'a';
      const { ref, value } = put(slot, `${slot}#${rotation}`);
      return { ref, value };
    },
    prove(value) {
      const credential = credentialOf(value);
      if (credential.alive && !credential.lost) {
        credential.proven = true;
        return;
      }
      credential.refused = true;
      throw new SourceError('REFUSED', 'The source refuses this value.');
    },
    usage(ref) {
      if (!source.tellsUsage) return 'unknown';
      const sessions = live().find((one) => one.ref === ref)?.sessions ?? [];
      return { sessions: [...sessions].map((client) => ({ client })) };
    },
    revoke(ref) {
      if (source.ignoresRevocations) return;
      for (const [slot, credential] of slots) {
        if (credential.ref !== ref) continue;
        end(credential);
        slots.delete(slot);
      }
    },
    list: () => live().map(({ ref }) => ref),
    live,
    credentialOf,
    put,
  };
  return source;
}
