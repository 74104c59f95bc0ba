import { longestTimerMs, type Clock } from './clock.ts';
import type { LiveSecret } from './live-secret.ts';
import { SecretsError } from './secrets-error.ts';

/** Waits until all of them have a value; what fails meanwhile is repeated by each secret itself. */
export async function whenReady(
  secrets: readonly LiveSecret[],
  at: {
    readonly withinMs: number;
    readonly signal: AbortSignal | undefined;
    readonly clock: Clock;
    /** Calls back whenever a secret has a value again; returns what unsubscribes. */
    readonly onServed: (listener: () => void) => () => void;
    readonly closed: AbortSignal;
  },
): Promise<void> {
  const missing = (): LiveSecret[] => secrets.filter(({ current }) => !current());
  at.signal?.throwIfAborted();
  const settled = Promise.withResolvers<void>();
  const look = (): void => {
    if (missing().length === 0) settled.resolve();
  };
  const unsubscribe = at.onServed(look);
  const cancel = at.clock.after(at.withinMs, () => settled.reject(notReady(missing(), at.withinMs)));
  const abort = (): void => settled.reject(at.signal?.reason);
  at.signal?.addEventListener('abort', abort);
  const close = (): void => settled.reject(missing()[0]?.missing());
  at.closed.addEventListener('abort', close);
  // An application that waits to start has nothing else yet that would keep its process alive between two attempts.
  const alive = setInterval(() => {}, longestTimerMs);
  for (const secret of missing())
    secret.load().then(look, (error: SecretsError) => {
      if (error.code === 'CLOSED') settled.reject(error); // closed before
    });
  look();
  try {
    await settled.promise;
  } finally {
    unsubscribe();
    cancel();
    clearInterval(alive);
    at.closed.removeEventListener('abort', close);
    at.signal?.removeEventListener('abort', abort);
  }
}

function notReady(missing: readonly LiveSecret[], withinMs: number): SecretsError {
  const reasons = missing.map((secret) => secret.missing());
  return new SecretsError(
    'NOT_READY',
    `Not loaded within ${withinMs} ms: ${missing.map(({ name }) => name).join(', ')}. ${reasons[0]?.message ?? ''}`,
    { cause: reasons[0] },
  );
}

/** The same outcome, or the signal's reason if that comes first. */
export function abortable<T>(outcome: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    outcome.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
