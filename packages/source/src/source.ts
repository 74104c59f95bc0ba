import type { SecretValue } from './secret-value.ts';

/**
 * Names a credential at its source and is no secret: a role and its generation, a key id, a slot.
 * Two credentials that held the same slot one after the other have different refs, so that a late
 * `revoke` of the former can never end the latter.
 */
export type CredentialRef = string;

/** Names one run of the runbook: `<secret name>@<version it rotates from>`. */
export type RotationId = string;

/** A credential that a source has just issued. */
export interface Issued {
  readonly ref: CredentialRef;
  readonly value: SecretValue;
}

/** One session (a connection, a link) that authenticated with a credential, as the source sees it. */
export interface Session {
  /** Who it says it is (an application name, a client address); empty where the source does not know. */
  readonly client: string;
  /** When it authenticated, ISO 8601; absent where the source does not know. */
  readonly since?: string;
}

/** What a source says about who uses a credential now; `unknown` where it can't tell. */
export type Usage = { readonly sessions: readonly Session[] } | 'unknown';

/** One thing that a source says of a rotation before it begins. */
export interface SourceFinding {
  /**
   * `rights`: what Keyturn's own login may do there; `parity`: whether the idle slot is like the one in use;
   * `revocation`: what ends along with the credential in use.
   */
  readonly about: 'rights' | 'parity' | 'revocation';
  /** `stop`: a rotation would fail, or an application would; `warn`: it would work, and people ought to know. */
  readonly mark: 'ok' | 'warn' | 'stop';
  /** What was found, with names and numbers; never a value. */
  readonly says: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** What a source says of itself while nothing is changed. */
export interface Inspection {
  readonly findings: readonly SourceFinding[];
  /** The live credentials that one of the rotations asked about issued, as far as the source itself shows it. Never a guess. */
  readonly issued: readonly { readonly ref: CredentialRef; readonly rotation: RotationId }[];
}

/**
 * A system that issues and accepts a credential. The suite in `@keyturn/source/contract` holds every
 * implementation to the comments below.
 *
 * Every method may be repeated, also after a crash in its middle, looks at the real state of the source
 * before it changes anything, and throws a `SourceError` whose message, properties and causes hold no value.
 */
export interface Source {
  /** What it is, in one word: `postgres`. */
  readonly kind: string;
  /**
   * Issues a credential in the idle slot. Repeating it for one rotation replaces what that rotation issued
   * before. Never touches `current`; where `current` is undefined (nothing known of what is in use), the
   * source takes the one credential it holds as the current one, and refuses with `AMBIGUOUS` if it holds more.
   */
  issue(rotation: RotationId, current: CredentialRef | undefined): Promise<Issued>;
  /**
   * Logs in afresh as the application would and uses its rights. Throws a `SourceError` with code `REFUSED`
   * when the source says no; any other error means "don't know".
   */
  prove(value: SecretValue): Promise<void>;
  /** Who uses this credential now, as the source sees it; `unknown` where the source can't tell. Never a guess. */
  usage(ref: CredentialRef): Promise<Usage>;
  /** Ends the credential and its sessions. Revoking what is gone already succeeds. */
  revoke(ref: CredentialRef): Promise<void>;
  /** Every live credential this source holds for the secret, so that orphans can be found. */
  list(): Promise<readonly CredentialRef[]>;
  /**
   * Looks ahead and changes nothing: what a rotation away from `current` would meet here, and which credentials these
   * rotations issued. What would make `issue` or `revoke` fail is a finding, not an error. Absent where a source has
   * nothing to tell.
   */
  inspect?(about: {
    readonly current: CredentialRef | undefined;
    readonly rotations: readonly RotationId[];
  }): Promise<Inspection>;
}
