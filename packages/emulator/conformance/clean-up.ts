import type { Subject } from './subject.ts';

const together = 10;

/** Deletes and purges the secrets of a run. Purging may be forbidden: tells how many are left behind. */
export async function cleanUp(vault: Subject, names: readonly string[]): Promise<{ readonly left: number }> {
  const deleted = await each(names, async (name) => ({
    name,
    status: (await vault.call('DELETE', `/secrets/${name}`)).status,
  }));
  // The deletions get through side by side, so that their seconds are waited for once.
  const gone = await each(deleted, (deletion) => purge(vault, deletion).catch(() => false));
  return { left: gone.filter((isGone) => !isGone).length };
}

async function purge(
  vault: Subject,
  { name, status }: { readonly name: string; readonly status: number },
): Promise<boolean> {
  const path = `/deletedsecrets/${name}`;
  // What was not there may be among the deleted ones since long.
  if (status === 200)
    await vault.until(`${name} is deleted`, async () => (await vault.call('GET', path)).status === 200);
  const answer = await vault.call('DELETE', path);
  return answer.status === 204 || answer.status === 404;
}

async function each<T, R>(items: readonly T[], action: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let index = 0; index < items.length; index += together)
    results.push(...(await Promise.all(items.slice(index, index + together).map(action))));
  return results;
}
