/**
 * One version of a secret. It prints as `[secret orders-db@1f3c…]` wherever it is printed; the text leaves it
 * through `reveal()` alone, so that one search finds every place where a value is used.
 *
 * @example
 * const secret = await secrets.get('stripe-key');
 * console.log(secret); // [secret stripe-key@1f3c…]
 * const stripe = new Stripe(secret.reveal());
 */
export class Secret {
  readonly #value: string;
  readonly name: string;
  /** The vault's id of this version, for example `1f3c8a…` (32 hex digits). Ids have no order. */
  readonly version: string;
  /** When the version expires, if the vault says so. Key Vault serves expired values all the same. */
  readonly expiresOn: Date | undefined;

  constructor(of: { name: string; version: string; expiresOn: Date | undefined; value: string }) {
    this.#value = of.value;
    this.name = of.name;
    this.version = of.version;
    this.expiresOn = of.expiresOn;
  }

  /** The secret text itself. Pass it straight into the login it is for and keep no copy. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return `[secret ${this.name}@${this.version.slice(0, 4)}…]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}
