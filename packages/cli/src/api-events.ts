import type { ApiClient } from './api-client.ts';
import { CliError } from './cli-error.ts';

/** A rotator beats every 15 s. */
const silentForMs = 45_000;

/**
 * Calls back when the rotator says that something happens, and once when the connection stands. Ends when the
 * connection is lost or `signal` says so; throws when it can't be made.
 */
export async function listenForEvents(
  client: ApiClient,
  { signal, happened }: { readonly signal: AbortSignal; readonly happened: () => void },
): Promise<void> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), silentForMs);
  try {
    const response = await client.stream('v1/events', AbortSignal.any([signal, silence.signal]));
    happened();
    for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      timer.refresh();
      // What happened is asked for afterwards; wherever a frame is cut, one of its parts has such a line.
      if (/^(?:event|data):/m.test(text)) happened();
    }
  } catch (error) {
    if (error instanceof CliError && !signal.aborted) throw error; // what breaks in the middle is an end like any other
  } finally {
    clearTimeout(timer);
  }
}
