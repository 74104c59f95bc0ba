import { z } from 'zod';
import { EmulatorError } from '../emulator-error.ts';
import { operations, type Operation } from './operations.ts';

export type FaultEffect =
  /** Answered with this status, without taking effect. Without `retryAfterSeconds` there is no Retry-After, as real throttling was seen. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly code?: string;
      readonly retryAfterSeconds?: number;
    }
  /** The connection is cut before the call takes effect. */
  | { readonly kind: 'reset' }
  /** The call takes effect, then the connection is cut without an answer. */
  | { readonly kind: 'lostResponse' }
  /** No effect and no answer, until the client gives up or the emulator closes. */
  | { readonly kind: 'hang' }
  /** Served after this many milliseconds; faults behind it in the list still apply. */
  | { readonly kind: 'latency'; readonly ms: number };

export interface Fault {
  readonly operation: Operation | '*';
  /** Only calls of this vault; without it, of all. */
  readonly vault?: string;
  /** Only calls for this secret (in any case); without it, calls for all. */
  readonly secret?: string;
  /** Only calls by the identity of this name; without it, by all. */
  readonly identity?: string;
  /** How many calls it hits; without it, every call until it is removed. */
  readonly times?: number;
  readonly effect: FaultEffect;
}

/** Failures that the vault shows its clients on purpose. Only calls with a valid token count. */
export interface Faults {
  /** Faults are tried in the order they were injected. Returns a function that takes the fault out again. */
  inject(fault: Fault): () => void;
  clear(): void;
}

/** A call, as far as faults tell calls apart. */
export interface FaultTarget {
  readonly operation: Operation;
  readonly vault: string;
  readonly secret: string | undefined;
  readonly identity: string;
}

/** The side of the faults that the data plane sees. */
export interface FaultPlan extends Faults {
  /** The effects for one call, used up by asking: latencies, then at most one other. */
  take(call: FaultTarget): readonly FaultEffect[];
}

const faultSchema: z.ZodType<Fault> = z.strictObject({
  operation: z.enum([...operations, '*']),
  vault: z.string().min(1).exactOptional(),
  secret: z.string().min(1).exactOptional(),
  identity: z.string().min(1).exactOptional(),
  times: z.int().min(1).exactOptional(),
  effect: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('status'),
      status: z.int().min(400).max(599),
      code: z.string().exactOptional(),
      retryAfterSeconds: z.int().nonnegative().exactOptional(),
    }),
    z.strictObject({ kind: z.literal('reset') }),
    z.strictObject({ kind: z.literal('lostResponse') }),
    z.strictObject({ kind: z.literal('hang') }),
    z.strictObject({
      kind: z.literal('latency'),
      ms: z
        .number()
        .nonnegative()
        .max(2 ** 31 - 1),
    }),
  ]),
});

const none: readonly FaultEffect[] = [];

export function createFaults(): FaultPlan {
  const active = new Set<{ readonly fault: Fault; left: number }>();
  const hits = (fault: Fault, call: FaultTarget): boolean =>
    (fault.operation === '*' || fault.operation === call.operation) &&
    (fault.vault === undefined || fault.vault.toLowerCase() === call.vault) &&
    (fault.secret === undefined || fault.secret.toLowerCase() === call.secret?.toLowerCase()) &&
    (fault.identity === undefined || fault.identity === call.identity);

  return {
    inject(fault) {
      const checked = faultSchema.safeParse(fault);
      if (!checked.success)
        throw new EmulatorError(
          'FAULT_INVALID',
          `The fault is not valid:\n${z.prettifyError(checked.error)}`,
        );
      const entry = { fault: checked.data, left: checked.data.times ?? Infinity };
      active.add(entry);
      return () => void active.delete(entry);
    },

    clear: () => active.clear(),

    take(call) {
      if (active.size === 0) return none;
      const effects: FaultEffect[] = [];
      for (const entry of active) {
        if (!hits(entry.fault, call)) continue;
        entry.left -= 1;
        if (entry.left === 0) active.delete(entry);
        effects.push(entry.fault.effect);
        if (entry.fault.effect.kind !== 'latency') break;
      }
      return effects;
    },
  };
}
