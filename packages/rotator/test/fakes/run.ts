import type { Clock } from '../../src/clock.ts';
import type { ReportEvent } from '../../src/events.ts';
import { JournalError, toJournalError } from '../../src/journal/journal-error.ts';
import { withRetries } from '../../src/journal/retries.ts';
import type { Json, Run, Signal } from '../../src/journal/run.ts';
import type { Process } from './process.ts';

/** What one step left. */
export type Entry = { readonly name: string } & (
  | { readonly result: unknown }
  | { readonly error: ConstructorParameters<typeof JournalError>[0] }
);

/** A durable run in memory: what `entries` holds is not done again. It retries as the real journal does. */
export function openFakeRun(options: {
  id: string;
  entries: Entry[];
  process: Process;
  clock: Clock;
  retryForMs: number;
  report: ReportEvent;
  signals: Json[];
  /** Sees every error that leaves an action, before the journal makes it harmless. */
  onError: (error: unknown) => void;
}): Run {
  const { id, entries, process, clock, retryForMs, report, signals, onError } = options;
  let position = 0;

  async function once<T>(name: string, action: () => Promise<T>): Promise<T> {
    const at = position;
    position += 1;
    const known = entries[at];
    if (known === undefined) {
      const entry = await action().then(
        (result): Entry => ({ name, result: JSON.parse(JSON.stringify({ result })).result }),
        (error: unknown): Entry => ({ name, error: fields(toJournalError(error)) }),
      );
      await process.alive();
      entries[at] = entry;
      return outcome(entry) as T;
    }
    if (known.name !== name) throw new Error(`Step ${at} was ${known.name} and is ${name} now.`);
    return outcome(known) as T;
  }

  async function heard(withinMs: number): Promise<Json> {
    const until = clock.now() + withinMs;
    while (signals.length === 0 && clock.now() < until) await clock.sleep(60_000);
    return signals.shift() ?? null;
  }

  return {
    id,
    step: (name, action) =>
      once(name, () => {
        const watched = () =>
          action().catch((error: unknown) => {
            onError(error);
            throw error;
          });
        const forMs = name === 'preflight' ? 0 : retryForMs;
        return withRetries(watched, { phase: name, forMs, clock, report });
      }),
    signal: async <T extends Json>(_name: Signal, withinMs: number) =>
      (await once('signal', async () => (await heard(withinMs)) as T | null)) ?? undefined,
  };
}

function outcome(entry: Entry): unknown {
  if ('error' in entry) throw new JournalError(entry.error);
  return entry.result;
}

function fields({
  code,
  message,
  hint,
  passing,
}: JournalError): ConstructorParameters<typeof JournalError>[0] {
  return { code, message, hint, passing };
}
