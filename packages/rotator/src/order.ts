/** Who asks for something, and why. Recorded beside what was done. */
export type By = {
  /** A person's or an application's name as the token says, or `schedule`, `event`. */
  readonly who: string;
  readonly why: string;
  /** Who it is, whatever they are called: the object id in the token. Two requests of one person have the same. */
  readonly id?: string;
};

/** What an operator may say to an open rotation. */
export const orders = ['proceed', 'roll back', 'abort'] as const;
export type Order = (typeof orders)[number];

/** An order that was given: one line of a rotation's story. */
export type GivenOrder = By & {
  readonly order: Order | 'approve';
  /** ISO 8601. */
  readonly at: string;
};

/** How a rotation was asked for. */
export type Request = By & {
  /** ISO 8601. */
  readonly at: string;
  /** The credential is in the wrong hands: the overlap is as short as can be. */
  readonly compromised?: boolean;
};

/** Is it one and the same person? A name may change, and two may share one. */
export function isSame(one: By, other: By): boolean {
  if (one.id !== undefined && other.id !== undefined) return one.id === other.id;
  return one.who === other.who;
}
