/** Time that nobody waits for: what is planned happens in its order, and in between nothing does. */
export interface Timeline {
  /** Milliseconds since 1970, as nobody's clock shows it. */
  readonly now: number;
  /** How much has happened. */
  readonly happened: number;
  after(delayMs: number, happening: () => void): void;
  /** Goes through what is planned, and through all that follows from each, until it is over or this time has come. */
  run(until: number, each: () => boolean): Promise<void>;
}

interface Planned {
  readonly time: number;
  readonly number: number;
  readonly happening: () => void;
}

export function openTimeline(start: number): Timeline {
  const heap: Planned[] = [];
  let now = start;
  let planned = 0;
  let happened = 0;

  const isBefore = (one: Planned, other: Planned): boolean =>
    one.time < other.time || (one.time === other.time && one.number < other.number);

  function push(one: Planned): void {
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, one)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = one;
  }

  function pop(): Planned | undefined {
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
    return first;
  }

  return {
    get now() {
      return now;
    },
    get happened() {
      return happened;
    },
    after: (delayMs, happening) =>
      push({ time: now + Math.max(0, delayMs), number: (planned += 1), happening }),
    async run(until, each) {
      for (;;) {
        const next = pop();
        if (next === undefined || next.time > until) return;
        now = next.time;
        happened += 1;
        next.happening();
        await settled();
        if (!each()) return;
      }
    },
  };
}

/** Every promise that can go on has gone on: Node calls this back when no microtask is left. */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
