import type { Phase, RotationRecord } from '@keyturn/rotator';
import {
  contenderNames,
  type ContenderName,
  type Course,
  type RotationCourse,
  type Sample,
} from './course.ts';

/** Collects what happens in a demo and says at any time how far it has come. */
export interface Recorder {
  doing(what: string): void;
  /** Times count from here: the first request is about to be sent. */
  beginNow(): void;
  addInstance(contender: ContenderName, instance: string): void;
  request(
    contender: ContenderName,
    sample: { readonly startedAt: number; readonly instance: string; readonly ok: boolean },
  ): void;
  /** From now on the usual ways work with a new password too. */
  allRotated(): void;
  rotation(record: RotationRecord): void;
  oldCredentialRefused(): void;
  course(): Course;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export function openRecorder(now: () => number): Recorder {
  let startedAt = now();
  const since = (at: number) => Math.round(at - startedAt);
  const contenders = new Map(
    contenderNames.map(
      (name) => [name, { name, instances: [] as string[], samples: [] as Sample[] }] as const,
    ),
  );
  const phases: Mutable<RotationCourse['phases'][number]>[] = [];
  const adoptions = new Map<string, RotationCourse['adoptions'][number]>();
  const rotation: Mutable<Omit<RotationCourse, 'phases' | 'adoptions'>> = { id: undefined };
  let rotatedAtMs: number | undefined;
  let doing = '';

  function begin(phase: Phase, atMs: number): void {
    const open = phases.at(-1);
    if (open && open.endMs === undefined) open.endMs = atMs;
    phases.push({ name: phase, startMs: atMs });
    if (phase === 'announce') rotation.publishedMs = atMs;
    if (phase === 'verify') rotation.convergedMs = atMs;
    if (phase === 'close') {
      rotation.revokedMs = atMs;
      const last = phases.at(-1);
      if (last) last.endMs = atMs;
    }
  }

  return {
    beginNow() {
      startedAt = now();
    },
    doing(what) {
      doing = what;
    },
    addInstance(contender, instance) {
      contenders.get(contender)?.instances.push(instance);
    },
    request(contender, { startedAt: at, instance, ok }) {
      contenders.get(contender)?.samples.push({ atMs: since(at), instance, ok });
    },
    allRotated() {
      rotatedAtMs ??= since(now());
    },
    rotation(record) {
      rotation.id = record.rotation;
      const atMs = since(Date.parse(record.at));
      if (record.kind === 'phase') begin(record.phase, atMs);
      if (record.kind !== 'standing') return;
      const { version, leaving, verdicts, instances, oldSessions = [] } = record;
      rotation.standing = { version, leaving, verdicts, instances, oldSessions };
      for (const { instance, version: used } of instances) {
        if (used === version && !adoptions.has(instance))
          adoptions.set(instance, { instance, version, atMs });
      }
    },
    oldCredentialRefused() {
      rotation.oldCredentialRefused = true;
    },
    course: () => ({
      nowMs: since(now()),
      ...(rotatedAtMs === undefined ? {} : { rotatedAtMs }),
      contenders: [...contenders.values()],
      rotation: { ...rotation, phases, adoptions: [...adoptions.values()] },
      doing,
    }),
  };
}
