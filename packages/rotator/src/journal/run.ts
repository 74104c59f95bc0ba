import type { RotationId } from '@keyturn/source';
import type { Phase } from '../events.ts';

/** What a journal may hold. A `SecretValue` is none of it: to journal one is a compile error. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** What an operator may say to an open rotation. */
export type Signal = 'operator';

/** What the runbook may do; everything it does this way survives a crash. */
export interface Run {
  readonly id: RotationId;
  /** Runs an action once and remembers its result. After a crash an unfinished action runs again from its start. */
  step<T extends Json | void>(name: Phase, action: () => Promise<T>): Promise<T>;
  /** What an operator said, or undefined if nothing came within that time. */
  signal<T extends Json>(name: Signal, withinMs: number): Promise<T | undefined>;
}
