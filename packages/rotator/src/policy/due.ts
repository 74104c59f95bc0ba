import { createHash } from 'node:crypto';
import { spanInWords } from './in-words.ts';
import type { SecretPolicy } from './secret-policy.ts';

/** When a secret is to be rotated without anybody asking, and why. */
export interface Due {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** In plain words, with the numbers. */
  readonly because: string;
}

/** The vault's current version, as far as it matters here. */
export interface DueFacts {
  readonly policy: SecretPolicy;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly expiresAt?: number | undefined;
  /** True if Key Vault's events come here. */
  readonly hearsEvents?: boolean;
}

type Rule = (facts: DueFacts) => Due | undefined;

/** The first rule that has something to say decides. */
export const dueRules: readonly Rule[] = [interval, shortValidity, lostEvent];

/** Undefined for a secret that is rotated only when somebody asks, or an event. */
export function whenDue(facts: DueFacts): Due | undefined {
  const due = firstOf(dueRules, facts);
  const event = deferredEvent(facts);
  return event && event.at < (due?.at ?? Infinity) ? event : due;
}

function firstOf(rules: readonly Rule[], facts: DueFacts): Due | undefined {
  for (const rule of rules) {
    const due = rule(facts);
    if (due) return due;
  }
  return undefined;
}

/** How long before its expiry a version is due at the latest. */
export function leadMs({ everyMs, validityMs }: Pick<SecretPolicy, 'everyMs' | 'validityMs'>): number {
  if (everyMs !== undefined) return validityMs - everyMs;
  return validityMs > nearExpiryMs ? nearExpiryMs - graceMs : validityMs - shortMs(validityMs);
}

const dayMs = 86_400_000;
/** Key Vault tells of a near expiry 30 days ahead, which can't be changed. */
const nearExpiryMs = 30 * dayMs;
/** So much later than Key Vault's event, which may have been lost. */
const graceMs = dayMs;
const jitter = 0.1;

function interval(facts: DueFacts): Due | undefined {
  const { everyMs } = facts.policy;
  if (everyMs === undefined) return undefined;
  return { at: early(facts, everyMs), because: `it is rotated every ${spanInWords(everyMs)}` };
}

/** Key Vault's event would come at once, and for ever. */
function shortValidity(facts: DueFacts): Due | undefined {
  const { validityMs } = facts.policy;
  if (validityMs > nearExpiryMs) return undefined;
  const because = `two thirds of its validity of ${spanInWords(validityMs)} are over`;
  return { at: early(facts, shortMs(validityMs)), because };
}

function shortMs(validityMs: number): number {
  return (validityMs * 2) / 3;
}

/** Event Grid's delivery is no promise. */
function lostEvent({ expiresAt }: DueFacts): Due | undefined {
  if (expiresAt === undefined) return undefined;
  return {
    at: expiresAt - nearExpiryMs + graceMs,
    because: 'it expires within 29 days and no event has come',
  };
}

/**
 * An event outside of the maintenance windows is left to the schedule, which finds by the vault's expiry what the event
 * said: nobody has to remember it.
 */
function deferredEvent({ policy, expiresAt, hearsEvents = false }: DueFacts): Due | undefined {
  if (!hearsEvents || !policy.windows?.length) return undefined;
  if (expiresAt === undefined || policy.validityMs <= nearExpiryMs) return undefined;
  return { at: expiresAt - nearExpiryMs, because: 'it expires within 30 days' };
}

/**
 * Up to a tenth early, by a number that the version itself gives: the same after a restart and at every replica, and
 * another one for each secret, so that what was published together is not rotated together.
 */
function early({ policy, version, createdAt }: DueFacts, afterMs: number): number {
  const digest = createHash('sha256').update(`${policy.secret}@${version}`).digest();
  return createdAt + Math.round(afterMs * (1 - (jitter * digest.readUInt32BE(0)) / 2 ** 32));
}
