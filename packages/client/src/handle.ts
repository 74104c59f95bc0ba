import type { Secret } from './secret.ts';
import type { SecretsError } from './secrets-error.ts';

/** A reference to a secret that is always up to date. */
export interface SecretHandle {
  readonly name: string;
  /**
   * The last good value, by a property read. Throws `NOT_LOADED` before the first load, `VALUE_STALE` when the vault
   * has failed for longer than `staleIfErrorMs`.
   */
  readonly current: Secret;
  /** The outcome of the first load. */
  readonly ready: Promise<Secret>;
}

/**
 * The handle of a secret, one for everybody. While there is a value it is a plain property of the object, which V8
 * reads in less than a nanosecond; without one, a getter of the prototype shines through and says why.
 */
export class LatestSecret implements SecretHandle {
  readonly #at: { readonly load: () => Promise<Secret>; readonly missing: () => SecretsError };
  /** Resolved with `current`: a warm load makes nothing new. */
  loaded: Promise<Secret> | undefined = undefined;
  readonly name: string;

  constructor(
    name: string,
    at: { readonly load: () => Promise<Secret>; readonly missing: () => SecretsError },
  ) {
    this.name = name;
    this.#at = at;
  }

  get current(): Secret {
    throw this.#at.missing();
  }

  get ready(): Promise<Secret> {
    return this.#at.load();
  }

  serve(secret: Secret): void {
    // Assigning would look for a setter.
    Object.defineProperty(this, 'current', {
      value: secret,
      writable: true,
      enumerable: true,
      configurable: true,
    });
    this.loaded = Promise.resolve(secret);
  }

  withdraw(): void {
    delete (this as { current?: Secret }).current;
    this.loaded = undefined;
  }
}
