/** Something planned for a moment. */
export interface Due {
  /** Epoch milliseconds. */
  readonly time: number;
}

/** What is planned, soonest first; what is planned for the same moment stays in the order it came. */
export interface DueQueue<T extends Due> {
  add(entry: T): void;
  soonest(): T | undefined;
  /** Takes the soonest one out. */
  take(): T | undefined;
}

interface Slot<T> {
  readonly entry: T;
  readonly order: number;
}

/** A binary heap: a hundred thousand secrets may each wait for their expiry. */
export function createDueQueue<T extends Due>(): DueQueue<T> {
  const heap: Slot<T>[] = [];
  let added = 0;

  const isBefore = (one: number, other: number): boolean => {
    const [a, b] = [heap[one], heap[other]];
    if (a === undefined || b === undefined) return a !== undefined;
    return a.entry.time < b.entry.time || (a.entry.time === b.entry.time && a.order < b.order);
  };
  const swap = (one: number, other: number): void => {
    const [a, b] = [heap[one], heap[other]];
    if (a === undefined || b === undefined) return;
    heap[one] = b;
    heap[other] = a;
  };
  const rise = (index: number): void => {
    const parent = (index - 1) >> 1;
    if (index === 0 || !isBefore(index, parent)) return;
    swap(index, parent);
    rise(parent);
  };
  const sink = (index: number): void => {
    const [left, right] = [2 * index + 1, 2 * index + 2];
    const child = isBefore(right, left) ? right : left;
    if (child >= heap.length || !isBefore(child, index)) return;
    swap(index, child);
    sink(child);
  };

  return {
    add(entry) {
      heap.push({ entry, order: (added += 1) });
      rise(heap.length - 1);
    },
    soonest: () => heap[0]?.entry,
    take() {
      swap(0, heap.length - 1);
      const taken = heap.pop();
      sink(0);
      return taken?.entry;
    },
  };
}
