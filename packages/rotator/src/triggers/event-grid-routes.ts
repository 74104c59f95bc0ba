import { Hono, type Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { readDelivery, type Delivery } from './event-grid.ts';
import type { VaultEvent } from './vault-event.ts';
import type { AuthCheck } from './webhook-auth.ts';

/** What came of a delivery, for logs and metrics. */
export type DeliveryReport =
  | { readonly kind: 'accepted'; readonly events: number; readonly ignored: number }
  | { readonly kind: 'refused'; readonly status: 400 | 401 | 403 | 413 | 503; readonly reason: string }
  /** An endpoint was asked whether it wants events, and agreed. */
  | { readonly kind: 'validated' }
  /** Nobody tells of expiries any more: people must hear of that. */
  | { readonly kind: 'subscription deleted'; readonly subscription: string };

export interface EventGridRouteOptions {
  readonly authorise: AuthCheck;
  /** Stores the events, and no more: what follows from them comes later. */
  readonly accept: (events: readonly VaultEvent[]) => Promise<void>;
  readonly report: (report: DeliveryReport) => void;
  /** An answer comes within this time; one second if absent. Event Grid itself would wait for 30. */
  readonly answerWithinMs?: number;
  /** Who may be allowed to send CloudEvents: Event Grid of Azure's public cloud if absent. */
  readonly origins?: readonly string[];
}

/** The most that Event Grid delivers at once: 1 MiB. */
const longestDelivery = 1024 * 1024;

/** Event Grid's webhook. It answers as soon as the events are stored, and asks for redelivery where they could not be. */
export function eventGridRoutes(options: EventGridRouteOptions): Hono {
  const { authorise, accept, report, answerWithinMs = 1_000, origins = ['eventgrid.azure.net'] } = options;
  const app = new Hono();

  function refuse(context: Context, status: 400 | 401 | 403 | 413 | 503, reason: string): Response {
    report({ kind: 'refused', status, reason });
    context.header('Connection', 'close'); // the body may not have been read, so nothing can follow it
    if (status === 401) context.header('WWW-Authenticate', 'Bearer');
    return context.json({ error: reason }, status);
  }

  async function take(context: Context, delivery: Delivery): Promise<Response> {
    switch (delivery.kind) {
      case 'malformed':
        return refuse(context, 400, `Not a delivery of Event Grid: ${delivery.reason}.`);
      case 'validation':
        report({ kind: 'validated' });
        return context.json({ validationResponse: delivery.code }); // 200: Event Grid takes no other here
      case 'subscription deleted': {
        const subscription = printable(context.req.header('aeg-subscription-name'));
        report({ kind: 'subscription deleted', subscription });
        return context.body(null, 200);
      }
      case 'events': {
        const { events, ignored } = delivery;
        if (events.length > 0) await within(answerWithinMs, accept(events));
        report({ kind: 'accepted', events: events.length, ignored });
        return context.body(null, 202);
      }
    }
  }

  // The handshake of CloudEvents, https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md: it comes
  // without a token and learns what it brought itself. The callback that it may bring is never called.
  app.options('/v1/events', (context) => {
    context.header('Allow', 'POST, OPTIONS');
    const origin = context.req.header('webhook-request-origin')?.toLowerCase();
    if (origin === undefined || !origins.includes(origin)) return context.body(null, 200);
    context.header('WebHook-Allowed-Origin', origin);
    context.header('WebHook-Allowed-Rate', '*');
    report({ kind: 'validated' });
    return context.body(null, 200);
  });

  app.post(
    '/v1/events',
    // Before the body is read: whoever may not deliver is not listened to.
    async (context, next) => {
      const verdict = await authorise(context.req.raw.headers);
      return verdict.allowed ? next() : refuse(context, verdict.status, verdict.reason);
    },
    bodyLimit({
      maxSize: longestDelivery,
      onError: (context) => refuse(context, 413, 'A delivery has at most 1 MiB.'),
    }),
    async (context) => take(context, readDelivery(await context.req.text())),
  );

  // Event Grid delivers again: after 10 s, then more and more rarely, for a day.
  app.onError((_error, context) => refuse(context, 503, 'The events could not be stored.'));
  return app;
}

/** The storing goes on; if it succeeds after all, the redelivery is a copy and changes nothing. */
async function within(ms: number, storing: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not stored within ${ms} ms`)), ms);
  try {
    await Promise.race([storing, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function printable(name = ''): string {
  return /^[\w-]{1,64}$/.test(name) ? name : 'unnamed';
}
