import type { Instance, Phase, Verdict } from '@keyturn/rotator';

/** The three ways that the demo sets side by side. */
export const contenderNames = ['environment variable', 'cache, no overlap', 'keyturn'] as const;
export type ContenderName = (typeof contenderNames)[number];

/** One request to one instance. */
export interface Sample {
  /** Milliseconds since the demo began to send requests. */
  readonly atMs: number;
  readonly instance: string;
  readonly ok: boolean;
}

/** How far the rotation by the runbook has come; times are milliseconds since the demo began to send requests. */
export interface RotationCourse {
  readonly id: string | undefined;
  /** A phase under way has no `endMs` yet. */
  readonly phases: readonly { readonly name: Phase; readonly startMs: number; readonly endMs?: number }[];
  /** What the last look at the fleet and the source said; absent before there was one. */
  readonly standing?: {
    /** The new version. */
    readonly version: string;
    /** The credential that is leaving: a role. */
    readonly leaving: string;
    readonly verdicts: readonly Verdict[];
    readonly instances: readonly Instance[];
    readonly oldSessions: readonly string[];
  };
  /** When each instance was first seen to have adopted the new version. */
  readonly adoptions: readonly {
    readonly instance: string;
    readonly version: string;
    readonly atMs: number;
  }[];
  /** From here to `revokedMs` both credentials authenticate. */
  readonly publishedMs?: number;
  readonly convergedMs?: number;
  readonly revokedMs?: number;
  readonly oldCredentialRefused?: boolean;
}

/** All that has happened in a demo so far: what the screen draws live and the report at the end. */
export interface Course {
  readonly nowMs: number;
  /** When all three were rotated; absent before. */
  readonly rotatedAtMs?: number;
  readonly contenders: readonly {
    readonly name: ContenderName;
    readonly instances: readonly string[];
    readonly samples: readonly Sample[];
  }[];
  readonly rotation: RotationCourse;
  /** What happens now, in a few words: "starting nine applications". */
  readonly doing: string;
}
