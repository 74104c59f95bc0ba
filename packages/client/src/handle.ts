import type { LiveSecret } from './live-secret.ts';
import type { Secret } from './secret.ts';
import { SecretsError } from './secrets-error.ts';

/** A reference to a secret that is always up to date. */
export interface SecretHandle {
  readonly name: string;
  /** The last good value, by a property read. Throws `NOT_LOADED` before the first load. */
  readonly current: Secret;
  /** The outcome of the first load. */
  readonly ready: Promise<Secret>;
}

/** A class because V8 inlines a getter of a prototype, but not one of an object literal (30 times slower). */
export class LatestSecret implements SecretHandle {
  readonly #live: LiveSecret;
  readonly #latest: LiveSecret['latest'];
  readonly name: string;

  constructor(live: LiveSecret) {
    this.#live = live;
    this.#latest = live.latest;
    this.name = live.name;
    live.load().catch(() => {}); // whoever awaits `ready` sees it
  }

  get current(): Secret {
    return this.#latest.current ?? this.#notLoaded();
  }

  get ready(): Promise<Secret> {
    return this.#live.load();
  }

  #notLoaded(): never {
    throw new SecretsError(
      'NOT_LOADED',
      `The secret ${this.name} is not loaded yet. Await its handle's \`ready\` first.`,
    );
  }
}
