import type { SecretsError } from './secrets-error.ts';

/** What `secrets.on` tells. No event ever holds a value. */
export interface SecretsEvents {
  /** A version is current here that was not before; `previous` is absent at the first load. */
  readonly changed: {
    readonly name: string;
    readonly version: string;
    readonly previous: string | undefined;
  };
  /** A source said no to this version. */
  readonly refused: { readonly name: string; readonly version: string };
  /**
   * The last good value is older than its TTL because the vault fails, or it was disabled or deleted there; said once
   * per outage.
   */
  readonly stale: {
    readonly name: string;
    readonly version: string;
    readonly ageMs: number;
    /** Until it is not served any more, see `staleIfErrorMs`. */
    readonly endsInMs: number;
    readonly error: SecretsError;
  };
  /** The vault (then `name` says for which secret) or the rotator could not be reached; it is tried again. */
  readonly unreachable: {
    readonly what: 'vault' | 'rotator';
    readonly name?: string;
    readonly error: SecretsError;
    readonly retryInMs: number;
  };
}

export type SecretsListener<Event extends keyof SecretsEvents> = (event: SecretsEvents[Event]) => void;

export interface Listeners {
  readonly on: <Event extends keyof SecretsEvents>(
    event: Event,
    listener: SecretsListener<Event>,
  ) => () => void;
  readonly emit: <Event extends keyof SecretsEvents>(event: Event, detail: SecretsEvents[Event]) => void;
}

export function openListeners(): Listeners {
  const all = new Map<keyof SecretsEvents, Set<(detail: never) => void>>();
  return {
    on(event, listener) {
      const listeners = all.get(event) ?? new Set();
      all.set(event, listeners.add(listener));
      return () => listeners.delete(listener);
    },
    emit(event, detail) {
      for (const listener of all.get(event) ?? []) {
        try {
          (listener as (given: typeof detail) => void)(detail);
        } catch (error) {
          // The listener's fault must be seen, but must not stop a refresh half-way.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}
