import { JournalError } from '../src/journal/journal-error.ts';
import type { Outcome } from '../src/rotation.ts';
import type { Member } from './fakes/fleet.ts';
import type { Ending, World } from './fakes/world.ts';

export function outcomeOf(ending: Ending | undefined): Outcome {
  if (ending?.kind === 'ended') return ending.outcome;
  throw new Error(`It did not end but ${ending?.kind}.`, { cause: ending });
}

export function failureOf(ending: Ending | undefined): JournalError {
  if (ending?.kind === 'failed' && ending.error instanceof JournalError) return ending.error;
  throw new Error(`It did not fail as the journal does but ${ending?.kind}.`, { cause: ending });
}

export function member(world: World, index: number): Member {
  const found = world.fleet.members[index];
  if (!found) throw new Error(`There is no instance ${index}.`);
  return found;
}

/** The value that the rotation issued. */
export function fresh(world: World) {
  const [, value] = world.source.issued;
  if (!value) throw new Error('Nothing was issued.');
  return value;
}

/** What was told, by name; what was told twice in a row once. */
export function kinds(world: World): string[] {
  const told = world.events.map((event) => (event.kind === 'phase' ? event.phase : event.kind));
  return told.filter((kind, index) => kind !== told[index - 1]);
}
