import type { SecretValue } from './secret-value.ts';
import type { Source } from './source.ts';

/** A session that was opened with a credential and is held open. */
export interface HeldSession {
  /** Uses the session once: false if the source has ended it. */
  readonly works: () => Promise<boolean>;
  readonly close: () => Promise<void>;
}

/** A source with exactly one live credential, fresh for each case. */
export interface SourceUnderTest {
  readonly source: Source;
  /** The value of the one credential that is live at the start. */
  readonly currentValue: SecretValue;
  /** Logs in as an application would and stays. */
  readonly login: (value: SecretValue) => Promise<HeldSession>;
  /** The same source as seen from where nothing answers, with a value that would be tried there. */
  readonly unreachable: (
    value: SecretValue,
  ) => Promise<{ readonly source: Source; readonly value: SecretValue }>;
  /** The parts of a value that must appear nowhere; the whole value if absent. */
  readonly secretsIn?: (value: SecretValue) => readonly string[];
  /** A source may be that late in seeing a session come or go, milliseconds; 5,000 if absent. */
  readonly settleMs?: number;
  /** All of the source's state that `inspect` could alter, in any form that compares; for sources that have `inspect`. */
  readonly state?: () => Promise<unknown>;
  readonly close: () => Promise<void>;
}
