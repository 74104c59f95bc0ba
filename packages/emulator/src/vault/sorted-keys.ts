// Lists come in the order of their key, one page after another. Keys are kept sorted, so that a page of a
// secret with 100,000 versions costs a binary search and not a sort.

function position(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Adds a key that isn't there yet. */
export function insertKey(keys: string[], key: string): void {
  keys.splice(position(keys, key), 0, key);
}

/** Removes a key; does nothing when it isn't there. */
export function removeKey(keys: string[], key: string): void {
  const index = position(keys, key);
  if (keys[index] === key) keys.splice(index, 1);
}

/** Up to `count` keys that sort behind `after` (from the first one when it is undefined), and whether more follow. */
export function keysAfter(
  keys: readonly string[],
  after: string | undefined,
  count: number,
): { readonly keys: readonly string[]; readonly more: boolean } {
  const found = after === undefined ? 0 : position(keys, after);
  const start = after !== undefined && keys[found] === after ? found + 1 : found;
  return { keys: keys.slice(start, start + count), more: start + count < keys.length };
}
