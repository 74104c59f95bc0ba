import { toJournalError } from './journal/journal-error.ts';

/** What a look found, or why it found nothing: "don't know" is never taken for "isn't there". */
export type Looked<T> = { readonly seen: T } | { readonly failure: Failure };

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export async function looked<T>(look: () => Promise<T> | T): Promise<Looked<T>> {
  try {
    return { seen: await look() };
  } catch (error) {
    const { code, message, hint } = toJournalError(error);
    return { failure: { code, message, ...(hint === undefined ? {} : { hint }) } };
  }
}

/** A look that needs the result of one that failed fails for the same reason. */
export async function after<T, U>(first: Looked<T>, look: (seen: T) => Promise<U> | U): Promise<Looked<U>> {
  return 'seen' in first ? looked(() => look(first.seen)) : first;
}

export function both<A, B>(one: Looked<A>, other: Looked<B>): Looked<readonly [A, B]> {
  if (!('seen' in one)) return one;
  return 'seen' in other ? { seen: [one.seen, other.seen] } : other;
}
