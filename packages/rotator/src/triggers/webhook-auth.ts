import { createHash, timingSafeEqual } from 'node:crypto';
import type { SecretValue } from '@keyturn/source';
import type { Clock } from '../clock.ts';
import { entraCheck, type EntraAuth } from './entra-check.ts';

/** How Event Grid shows that it is the sender. */
export type WebhookAuth = EntraAuth | KeyAuth;

/**
 * A shared secret in the header `keyturn-webhook-key`: a delivery property of the subscription, marked as secret.
 * There is no way to send it in the URL: URLs end up in the logs of every proxy on the way. Two may be accepted, so
 * that the key itself can be changed without losing an event.
 */
export interface KeyAuth {
  readonly kind: 'key';
  readonly keys: readonly [SecretValue, ...SecretValue[]];
}

export const webhookKeyHeader = 'keyturn-webhook-key';

/**
 * 401: who it is doesn't show. 403: it shows, and may not. 503: it can't be told now. The difference matters, as Event
 * Grid never repeats what was answered with 401 or 403.
 */
export type AuthVerdict =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly status: 401 | 403 | 503; readonly reason: string };

/** Judges the headers of a request. */
export type AuthCheck = (headers: Headers) => Promise<AuthVerdict>;

export function openWebhookAuth(auth: WebhookAuth, clock: Clock): AuthCheck {
  return auth.kind === 'entra' ? entraCheck(auth, clock) : keyCheck(auth);
}

function keyCheck({ keys }: KeyAuth): AuthCheck {
  const expected = keys.map((key) => digest(key.reveal()));
  return async (headers) => {
    const given = headers.get(webhookKeyHeader);
    if (given === null || given === '') return refused(`The header ${webhookKeyHeader} is missing.`);
    const shown = digest(given);
    // Each is compared, and in full: the time taken tells nothing of where they differ, nor of how long a key is.
    const matches = expected.map((one) => timingSafeEqual(one, shown));
    return matches.includes(true) ? { allowed: true } : refused(`The key in ${webhookKeyHeader} is wrong.`);
  };
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function refused(reason: string): AuthVerdict {
  return { allowed: false, status: 401, reason };
}
