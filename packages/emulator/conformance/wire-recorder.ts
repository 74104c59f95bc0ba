import type { Policies } from './subject.ts';

/** A request as it left the client library, after everything that the library does to it. */
export interface SentRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly authorized: boolean;
  readonly hasBody: boolean;
  readonly status: number;
}

/** Shows what a client library sends, which only some of the library's own quirks can be told from. */
export function recorder(): { readonly policy: Policies[number]; readonly sent: readonly SentRequest[] } {
  const sent: SentRequest[] = [];
  const policy: Policies[number] = {
    position: 'perRetry',
    policy: {
      name: 'conformance recorder',
      async sendRequest(request, next) {
        const { pathname, search } = new URL(request.url);
        const before = {
          method: request.method,
          target: pathname + search,
          authorized: request.headers.has('Authorization'),
          hasBody: request.body !== undefined && request.body !== null,
        };
        const answer = await next(request);
        sent.push({ ...before, status: answer.status });
        return answer;
      },
    },
  };
  return { policy, sent };
}
