import { SecretsError } from './secrets-error.ts';
import { placeOf, type SchemaResult, type StandardSchema } from './standard-schema.ts';

/**
 * One version of a secret. It prints as `[secret orders-db@1f3c…]` wherever it is printed; the text leaves it
 * through `reveal()`, `parse()` and `withBytes()` alone, so that a search finds every place where a value is used.
 *
 * @example
 * const secret = await secrets.get('stripe-key');
 * console.log(secret); // [secret stripe-key@1f3c…]
 * const stripe = new Stripe(secret.reveal());
 */
export class Secret {
  readonly #value: string;
  #parsed: WeakMap<StandardSchema, unknown> | undefined;
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

  /**
   * The value through any Standard Schema: the fields if it is a JSON object or array, else the text. Done once per version and schema.
   * Throws `VALUE_FORMAT`, which names the places that are wrong and never quotes them.
   *
   * @example
   * const login = secret.parse(z.object({ username: z.string(), password: z.string() }));
   */
  parse<Output>(schema: StandardSchema<Output>): Output {
    this.#parsed ??= new WeakMap();
    if (!this.#parsed.has(schema)) this.#parsed.set(schema, this.#check(schema));
    return this.#parsed.get(schema) as Output;
  }

  /**
   * Lends the value as UTF-8, and overwrites that copy with zeros when `action` has settled. The vault's answer was a
   * string before, which nobody can erase.
   */
  async withBytes<Result>(action: (bytes: Uint8Array) => Result | Promise<Result>): Promise<Result> {
    const bytes = new TextEncoder().encode(this.#value);
    try {
      return await action(bytes);
    } finally {
      bytes.fill(0);
    }
  }

  /** Whether it is the same text, in a time that doesn't tell where they differ. */
  equals(other: Secret | string): boolean {
    const { createHash, timingSafeEqual } = process.getBuiltinModule('node:crypto');
    const digest = (text: string) => createHash('sha256').update(text).digest();
    return timingSafeEqual(digest(this.#value), digest(typeof other === 'string' ? other : other.#value));
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

  #check<Output>(schema: StandardSchema<Output>): Output {
    const result = this.#validate(schema);
    if (result instanceof Promise) {
      result.catch(() => {}); // nobody else would hear of it, and it may quote the value
      throw new SecretsError(
        'OPTIONS_INVALID',
        'A schema for a secret must answer at once, without a promise.',
      );
    }
    return valueOf(result, this);
  }

  #validate<Output>(
    schema: StandardSchema<Output>,
  ): ReturnType<StandardSchema<Output>['~standard']['validate']> {
    try {
      return schema['~standard'].validate(fieldsOf(this.#value));
    } catch (error) {
      // Without a cause: what a transformation throws may quote the value, as `new URL` does.
      throw new SecretsError(
        'VALUE_FORMAT',
        `The value of ${this.toString()} does not fit its schema, which threw ${nameOf(error)}.`,
      );
    }
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `a ${error.name}` : 'something';
}

/** A password that consists of digits, or reads `true`, is JSON by accident. */
function fieldsOf(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? parsed : text;
  } catch {
    return text;
  }
}

function valueOf<Output>(result: SchemaResult<Output>, secret: Secret): Output {
  if (!result.issues) return result.value;
  const places = [...new Set(result.issues.map(placeOf))].join(', ');
  throw new SecretsError(
    'VALUE_FORMAT',
    `The value of ${secret.toString()} does not fit its schema: ${places}.`,
  );
}
