const keptAtMost = 20;

/** Notes something about a version, and forgets the versions noted longest ago: a process may see thousands. */
export function rememberVersion<Note>(notes: Map<string, Note>, version: string, note: Note): void {
  notes.delete(version);
  notes.set(version, note);
  const [oldest] = notes.keys();
  if (notes.size > keptAtMost && oldest !== undefined) notes.delete(oldest);
}
