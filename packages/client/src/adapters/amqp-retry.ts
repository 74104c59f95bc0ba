import { setTimeout as sleep } from 'node:timers/promises';

/** The retry options of `@azure/service-bus` and `@azure/event-hubs`; the parts that count here. */
export interface AmqpRetryOptions {
  /** Default 3. */
  readonly maxRetries?: number;
  /** Default 30,000. */
  readonly retryDelayInMs?: number;
  /** The longest delay when it is exponential; default 90,000. */
  readonly maxRetryDelayInMs?: number;
  /** 0: exponential, 1: fixed; default 1. */
  readonly mode?: number;
}

/**
 * Retries what failed for a passing reason, as the SDKs do. They would also retry a refused login, for minutes and
 * with the same key; so they are told not to retry at all, and this does it in their place.
 */
export async function withRetries<Result>(
  options: AmqpRetryOptions,
  signal: AbortSignal | undefined,
  action: () => Promise<Result>,
): Promise<Result> {
  const { maxRetries = 3 } = options;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      const { retryable } = error as { retryable?: unknown };
      if (retryable !== true || isNamespaceRefusal(error) || attempt > maxRetries) throw error;
      await sleep(retryDelayMs(options, attempt), undefined, { ...(signal && { signal }), ref: false });
    }
  }
}

/** How long to wait after so many attempts. */
export function retryDelayMs(options: AmqpRetryOptions, attempt: number): number {
  const { retryDelayInMs = 30_000, maxRetryDelayInMs = 90_000, mode = 1 } = options;
  return mode === 0 ? Math.min(retryDelayInMs * 2 ** (attempt - 1), maxRetryDelayInMs) : retryDelayInMs;
}

/** The namespace said no: 401 to a token, or `amqp:unauthorized-access` to a link. */
export function isNamespaceRefusal(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 'UnauthorizedAccess' || code === 'UnauthorizedError'; // of Service Bus, of Event Hubs
}
