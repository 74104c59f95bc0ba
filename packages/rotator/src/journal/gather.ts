/**
 * Writes what comes one by one in batches: while one write is under way, what comes meanwhile waits and goes together
 * with the next. Each caller waits until its own part is written; a write that fails, fails for all in it. Nothing
 * waits longer than for the write before it, so a single caller is not slowed down.
 */
export function gather<T>(options: {
  readonly write: (items: readonly T[]) => Promise<void>;
  /** A write has at most so many, unless one caller brings more. */
  readonly mostAtOnce: number;
  /** More than this are not let in to wait. */
  readonly mostWaiting: number;
  readonly full: () => Error;
}): (items: readonly T[]) => Promise<void> {
  const { write, mostAtOnce, mostWaiting, full } = options;
  let waiting: { readonly items: readonly T[]; readonly done: PromiseWithResolvers<void> }[] = [];
  let count = 0;
  let writing = false;

  async function writeAll(): Promise<void> {
    writing = true;
    while (waiting.length > 0) {
      const batch = nextBatch();
      try {
        await write(batch.flatMap(({ items }) => items));
        for (const { done } of batch) done.resolve();
      } catch (error) {
        for (const { done } of batch) done.reject(error);
      }
    }
    writing = false;
  }

  function nextBatch(): typeof waiting {
    let size = 0;
    let taken = 0;
    for (const { items } of waiting) {
      if (taken > 0 && size + items.length > mostAtOnce) break;
      size += items.length;
      taken += 1;
    }
    const batch = waiting.slice(0, taken);
    waiting = waiting.slice(taken);
    count -= size;
    return batch;
  }

  return async (items) => {
    if (count > 0 && count + items.length > mostWaiting) throw full();
    const done = Promise.withResolvers<void>();
    waiting.push({ items, done });
    count += items.length;
    if (!writing) void writeAll();
    await done.promise;
  };
}
