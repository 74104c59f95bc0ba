import type { SecretValue } from '@keyturn/source';
import type { Clock } from '../clock.ts';
import { systemCode } from '../telemetry/plain-error.ts';
import type { CloudEvent } from './cloud-event.ts';
import { slackMessage } from './slack.ts';
import { signatureHeaders } from './standard-webhooks.ts';
import { teamsMessage } from './teams.ts';

/** Whoever knows the URL of a webhook can post to it: it is a secret, read afresh for every attempt. */
interface AnyTarget {
  /** What logs and metrics call it. */
  readonly name: string;
  readonly url: () => Promise<SecretValue>;
  /** `people`: only what a person should know of. As a rule so for Slack and Teams, and `everything` for a webhook. */
  readonly about?: 'people' | 'everything';
}

export type Target =
  | (AnyTarget & { readonly format: 'slack' | 'teams' })
  | (AnyTarget & {
      readonly format: 'webhook';
      /** `whsec_…`; two of them while receivers take up a new one. */
      readonly signingSecrets: () => Promise<readonly SecretValue[]>;
    });

/** What came of an attempt. `final`: to try again would end the same way. `why` holds no URL and no foreign text. */
export type Delivery =
  | { readonly ok: true }
  | { readonly ok: false; readonly why: string; readonly final: boolean; readonly retryAfterMs?: number };

export interface Delivering {
  readonly clock: Clock;
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
  /** Ends what is under way. */
  readonly closing: AbortSignal;
}

/** Nothing but the message itself is at fault. All else is the target's, and may be mended while we try. */
const messageRefused = new Set([400, 413, 415, 422]);

const longestRetryAfterMs = 3_600_000;

/** Makes one attempt. Never throws. */
export async function deliver(
  target: Target,
  event: CloudEvent,
  { clock, fetch, timeoutMs, closing }: Delivering,
): Promise<Delivery> {
  const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), closing]);
  const url = await usableUrl(target, signal);
  if (typeof url === 'string') return failed(url);
  const request = await signedRequest(target, event, { at: clock.now(), signal });
  if (typeof request === 'string') return failed(request);
  try {
    const answer = await fetch(url, { ...request, method: 'POST', redirect: 'manual', signal });
    // Nothing in it is needed, and what goes wrong from here on takes nothing back.
    await answer.body?.cancel().catch(() => undefined);
    return judge(answer, clock.now());
  } catch (error) {
    if (closing.aborted) return failed('it was not waited for any longer');
    if (signal.aborted) return failed(`no answer within ${timeoutMs} ms`);
    // What `fetch` throws may have the URL in its text.
    const code = systemCode((error as { cause?: { code?: unknown } }).cause?.code);
    return failed(`the request failed${code === undefined ? '' : ` (${code})`}`);
  }
}

function judge(answer: Response, now: number): Delivery {
  const { status, headers } = answer;
  if (answer.ok) return { ok: true };
  if (status >= 300 && status < 400) return failed(`it redirects (${status}), which is not followed`);
  if (messageRefused.has(status))
    return { ok: false, final: true, why: `the message was refused (${status})` };
  const retryAfterMs = retryAfter(headers.get('retry-after'), now);
  return { ...failed(`it answered ${status}`), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}

/** Seconds, or a date. No answer silences us for longer than an hour. */
function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), longestRetryAfterMs);
}

/** The URL, or why there is none. Names and reasons are told in it: only loopback may do without TLS. */
async function usableUrl(target: Target, signal: AbortSignal): Promise<URL | string> {
  const text = await within(target.url, signal);
  if (text === undefined) return 'its URL could not be read';
  const url = URL.parse(text.reveal().trim());
  if (url === null) return 'its URL is not a URL';
  if (url.username !== '' || url.password !== '') return 'its URL holds a user name or a password';
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLocal)) return url;
  return 'its URL does not begin with https://';
}

type Request = { readonly body: string; readonly headers: Readonly<Record<string, string>> };

async function signedRequest(
  target: Target,
  event: CloudEvent,
  { at, signal }: { readonly at: number; readonly signal: AbortSignal },
): Promise<Request | string> {
  const headers = { 'content-type': 'application/json; charset=utf-8', 'user-agent': 'keyturn' };
  if (target.format !== 'webhook') {
    const message = target.format === 'slack' ? slackMessage(event) : teamsMessage(event);
    return { body: JSON.stringify(message), headers };
  }
  const secrets = await within(target.signingSecrets, signal);
  if (secrets === undefined || secrets.length === 0) return 'its signing secret could not be read';
  const body = JSON.stringify(event);
  try {
    const signatures = signatureHeaders({ id: event.id, at, body }, secrets);
    const type = 'application/cloudevents+json; charset=utf-8';
    return { body, headers: { ...headers, 'content-type': type, ...signatures } };
  } catch {
    return 'its signing secret is not whsec_ and 24 to 64 bytes in base64';
  }
}

/** Undefined if it fails or isn't there in time: the text of the failure may hold what it was about. */
async function within<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const { promise: stopped, resolve } = Promise.withResolvers<undefined>();
  const stop = () => resolve(undefined);
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([read(), stopped]);
  } catch {
    return undefined;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function failed(why: string): { readonly ok: false; readonly why: string; readonly final: boolean } {
  return { ok: false, why, final: false };
}
