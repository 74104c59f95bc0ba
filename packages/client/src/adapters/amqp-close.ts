import { systemClock } from '../clock.ts';
import { SecretsError } from '../secrets-error.ts';

/** As long as the SDKs themselves wait for a connection that doesn't answer, milliseconds. */
const closeTimeoutMs = 60_000;

/**
 * Closes clients of the SDKs. When a connection is lost while it is being closed, theirs never resolves
 * (rhea-promise 3 takes its listeners and its timer away then), and the old key would be in use for ever.
 *
 * @throws SecretsError `LOGIN_TIMEOUT` after `timeoutMs`: nothing is left that could be waited for.
 */
export async function closeAll(
  closing: readonly (Promise<void> | undefined)[],
  timeoutMs: number = closeTimeoutMs,
): Promise<void> {
  const tooLate = Promise.withResolvers<never>();
  const cancel = systemClock.after(timeoutMs, () =>
    tooLate.reject(
      new SecretsError(
        'LOGIN_TIMEOUT',
        `A connection did not close within ${timeoutMs} ms. It was given up.`,
      ),
    ),
  );
  const all = Promise.all(closing.map(async (one) => one));
  try {
    await Promise.race([all, tooLate.promise]);
  } finally {
    cancel();
    all.catch(() => {}); // too late
  }
}
