import { z } from 'zod';
import { firstIssue, readVaultEvent, type Envelope } from './read-vault-event.ts';
import type { VaultEvent } from './vault-event.ts';

/** What one POST of Event Grid says. */
export type Delivery =
  /** The question whether this endpoint wants events; the code is the answer. */
  | { readonly kind: 'validation'; readonly code: string }
  /** `ignored`: events of keys, of certificates, of other services; nobody here waits for them. */
  | { readonly kind: 'events'; readonly events: readonly VaultEvent[]; readonly ignored: number }
  /** The subscription was removed: from now on nothing is told any more. */
  | { readonly kind: 'subscription deleted' }
  | { readonly kind: 'malformed'; readonly reason: string };

const longestName = 256;

const eventGridEvent = z.object({
  id: z.string().min(1).max(longestName),
  eventType: z.string(),
  eventTime: z.string(),
  data: z.unknown().optional(),
});

const cloudEvent = z.object({
  id: z.string().min(1).max(longestName),
  specversion: z.literal('1.0'),
  type: z.string(),
  time: z.string(),
  data: z.unknown().optional(),
});

const validationType = 'Microsoft.EventGrid.SubscriptionValidationEvent';
const deletionType = 'Microsoft.EventGrid.SubscriptionDeletedEvent';
const validationData = z.object({ validationCode: z.string().min(1).max(longestName) });

/**
 * Reads a delivery in Event Grid's schema (a list) or as CloudEvents 1.0 (one, or a list of them). What it is shows
 * in the body; the headers that say so too (`aeg-event-type`, the content type) may be lost on the way through a
 * proxy. One event that can't be read makes the whole delivery malformed: Event Grid then keeps it as a dead letter,
 * where a person finds it, while half an acceptance would lose the rest without a word.
 */
export function readDelivery(body: string): Delivery {
  const envelopes = readEnvelopes(body);
  if (!Array.isArray(envelopes)) return envelopes;
  const [first] = envelopes;
  if (first?.type === validationType) return readValidation(first);
  if (first?.type === deletionType) return { kind: 'subscription deleted' };

  const events: VaultEvent[] = [];
  for (const [index, envelope] of envelopes.entries()) {
    const read = readVaultEvent(envelope);
    if (read === 'foreign') continue;
    if ('problem' in read) return malformed(`event ${index}: ${read.problem}`);
    events.push(read);
  }
  return { kind: 'events', events, ignored: envelopes.length - events.length };
}

function readEnvelopes(body: string): Envelope[] | Delivery {
  const parsed = parse(body);
  if (parsed === undefined) return malformed('the body is no JSON');
  const list: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  if (list.length === 0) return malformed('the list of events is empty');
  const envelopes: Envelope[] = [];
  for (const [index, one] of list.entries()) {
    const envelope = readEnvelope(one);
    if ('problem' in envelope) return malformed(`event ${index}: ${envelope.problem}`);
    envelopes.push(envelope);
  }
  return envelopes;
}

function readEnvelope(one: unknown): Envelope | { readonly problem: string } {
  const isCloudEvent = typeof one === 'object' && one !== null && 'specversion' in one;
  if (isCloudEvent) {
    const read = cloudEvent.safeParse(one);
    return read.success ? { data: undefined, ...read.data } : { problem: firstIssue(read.error) };
  }
  const read = eventGridEvent.safeParse(one);
  if (!read.success) return { problem: firstIssue(read.error) };
  const { id, eventType, eventTime, data } = read.data;
  return { id, type: eventType, time: eventTime, data };
}

function readValidation({ data }: Envelope): Delivery {
  const read = validationData.safeParse(data);
  return read.success
    ? { kind: 'validation', code: read.data.validationCode }
    : malformed(`event 0: data.${firstIssue(read.error)}`);
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function malformed(reason: string): Delivery {
  return { kind: 'malformed', reason };
}
