import type { SubscriptionSettings } from '../options.ts';

/** What came of one request to a subscription's endpoint. */
export type Answer =
  | { readonly status: number; readonly body: string; readonly headers: Headers }
  /** No answer: refused, cut off, or none within the time; `problem` for people, `outcome` in Event Grid's words. */
  | { readonly status: undefined; readonly problem: string; readonly outcome: string };

/** Sends to endpoints, with what every request of Event Grid has. */
export interface Endpoints {
  send(
    subscription: SubscriptionSettings & { readonly name: string },
    request: {
      readonly method: 'POST' | 'OPTIONS';
      readonly headers: Readonly<Record<string, string>>;
      readonly body?: string;
    },
  ): Promise<Answer>;
}

// Event Grid waits this long for an endpoint.
const patienceMs = 30_000;

export function createEndpoints(ports: {
  /** A token of Event Grid's own for this audience. */
  readonly tokenFor: (audience: string) => Promise<string>;
  /** Cuts off what is under way. */
  readonly closing: AbortSignal;
}): Endpoints {
  return {
    async send({ endpoint, name, audience }, { method, headers, body }) {
      try {
        const authorization =
          audience === undefined ? {} : { Authorization: `Bearer ${await ports.tokenFor(audience)}` };
        const answer = await fetch(endpoint, {
          method,
          headers: {
            'aeg-subscription-name': name.toUpperCase(),
            // A connection that was kept may have been closed by the other side, which would look like a failure.
            Connection: 'close',
            ...authorization,
            ...headers,
          },
          ...(body === undefined ? {} : { body }),
          redirect: 'manual',
          signal: AbortSignal.any([ports.closing, AbortSignal.timeout(patienceMs)]),
        });
        return { status: answer.status, body: await answer.text(), headers: answer.headers };
      } catch (error) {
        const problem = problemOf(error);
        return { status: undefined, problem, outcome: outcomes[problem] ?? 'SocketError' };
      }
    },
  };
}

// https://learn.microsoft.com/azure/event-grid/delivery-and-retry, the values of lastDeliveryOutcome
const outcomes: Readonly<Record<string, string>> = {
  TimedOut: 'TimedOut',
  ENOTFOUND: 'ResolutionError',
  EAI_AGAIN: 'ResolutionError',
};

function problemOf(error: unknown): string {
  const { name, cause } = error as { name?: string; cause?: { code?: string } };
  return name === 'TimeoutError' ? 'TimedOut' : (cause?.code ?? name ?? 'Unknown');
}
