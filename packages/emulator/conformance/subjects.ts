import type { Need } from './check.ts';
import type { Subject } from './subject.ts';

/** Where the checks find what they are about. */
export interface Subjects {
  /** For people: the URL of a real vault, or that it is the emulator. */
  readonly name: string;
  /** The subject that has what a check needs; undefined when there is none. */
  find(need: Need | undefined): Promise<Subject | undefined>;
  /** Removes what the run left behind, and tells how many secrets it had to leave. */
  close(): Promise<{ readonly left: number }>;
}
