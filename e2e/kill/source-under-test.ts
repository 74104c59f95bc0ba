/** What the invariants ask a source, past everything that Keyturn says of it. */
export interface SourceUnderTest {
  /** The secret whose credentials it holds. */
  readonly secret: string;
  /** Logs in with a value; undefined if that worked, the source's answer if not. */
  logIn(value: string): Promise<string | undefined>;
  isRefusal(answer: string | undefined): boolean;
  /** How many sessions of this value live. */
  sessions(value: string): Promise<number>;
  /** The refs of all that can log in. */
  live(): Promise<readonly string[]>;
  /** How long the log is: where a round begins. */
  logLength(): Promise<number>;
  /** Does its log say, from there on, that such a login was refused? */
  wasRefused(value: string, since: number): Promise<boolean>;
}
