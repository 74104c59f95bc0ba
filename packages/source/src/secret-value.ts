import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

/**
 * The secret text of a credential. It prints as `[secret]` wherever it is printed; the text leaves it
 * through `reveal()` alone, so that one search finds every place where a value is used.
 *
 * @example
 * const value = new SecretValue('s3cret');
 * `${value}`;              // '[secret]'
 * JSON.stringify({ value }) // '{"value":"[secret]"}'
 * await connect({ password: value.reveal() });
 */
export class SecretValue {
  readonly #text: string;

  constructor(text: string) {
    if (text === '') throw new TypeError('A SecretValue must not be empty.');
    this.#text = text;
  }

  /** The secret text itself. Pass it straight into the login it is for and keep no copy. */
  reveal(): string {
    return this.#text;
  }

  /** True if both hold the same text. */
  equals(other: SecretValue): boolean {
    const [mine, theirs] = [Buffer.from(this.#text), Buffer.from(other.#text)];
    return mine.length === theirs.length && timingSafeEqual(mine, theirs);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}
