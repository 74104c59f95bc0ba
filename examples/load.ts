import { expect, vi } from 'vitest';

/** Requests without a pause, from several clients. */
export interface Load {
  readonly served: number;
  /** Why the others were not. */
  readonly failures: readonly string[];
  /** Waits until so many more are served. */
  serves(requests: number): Promise<void>;
  /** Waits until every client has had an answer to a request that it sent from now on, or none in time. */
  nextAnswers(): Promise<void>;
  stop(): Promise<void>;
}

/** More than the pools have connections. */
const clients = 16;
const answerWithinMs = 15_000;

/** What a load balancer sends to another instance: nobody listens, or a kept-alive connection ended just then. */
export const refused = 'connection refused';
export const cut = 'connection cut';

export function startLoad(url: string): Load {
  let served = 0;
  let stopped = false;
  const failures: string[] = [];
  const answers: number[] = Array.from({ length: clients }, () => 0);
  const workers = Array.from({ length: clients }, async (_, index) => {
    while (!stopped) {
      const failure = await request(url);
      answers[index] = (answers[index] ?? 0) + 1;
      if (failure === undefined) served += 1;
      else failures.push(failure);
      if (failure === refused) return; // nobody listens there any more
    }
  });
  return {
    get served() {
      return served;
    },
    failures,
    async serves(requests) {
      const goal = served + requests;
      await soon(() => expect(served).toBeGreaterThanOrEqual(goal));
    },
    async nextAnswers() {
      const before = [...answers];
      // The one under way was sent earlier.
      await soon(() => expect(answers.every((count, index) => count >= (before[index] ?? 0) + 2)).toBe(true));
    },
    async stop() {
      stopped = true;
      await Promise.all(workers);
    },
  };
}

async function request(url: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerWithinMs) });
    const text = await response.text();
    return response.ok ? undefined : `${response.status} ${text}`;
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as { code?: string };
    if (code === 'ECONNREFUSED') return refused;
    return code === 'ECONNRESET' || code === 'UND_ERR_SOCKET' ? cut : String(error);
  }
}

/** Waits until it holds; for what another process does. */
export async function soon(holds: () => unknown): Promise<void> {
  await vi.waitFor(holds, { timeout: 40_000, interval: 25 });
}
