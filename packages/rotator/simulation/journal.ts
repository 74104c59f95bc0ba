import type { RotationEvent } from '../src/events.ts';
import { fenced } from '../src/journal/fence.ts';
import { JournalError, toJournalError } from '../src/journal/journal-error.ts';
import { withRetries } from '../src/journal/retries.ts';
import type { Json, Run } from '../src/journal/run.ts';
import type { GivenOrder } from '../src/order.ts';
import type { Requested } from '../src/policy/which-rotation.ts';
import type { Rotation } from '../src/rotation.ts';
import { rotate } from '../src/runbook.ts';
import type { RotatorProcess } from './rotator.ts';
import { short } from './story.ts';
import type { World } from './world.ts';

/** What one step left. */
export type Entry = { readonly name: string } & (
  | { readonly result: unknown }
  | { readonly error: ConstructorParameters<typeof JournalError>[0] }
);

/** A rotation as the journal knows it; one that failed and was asked for again is another attempt. */
export interface Attempt {
  readonly request: Requested;
  readonly entries: Entry[];
  readonly orders: GivenOrder[];
  state: 'open' | 'ended' | 'failed';
  /** Who goes on with it. */
  owner: RotatorProcess;
}

/** Starts or joins what is asked for, as the engine's table of workflows does. */
export function begin(world: World, process: RotatorProcess, request: Requested): Promise<void> {
  return process.database('journal.start', () => {
    const same = world.attempts.filter((one) => one.request.id === request.id);
    if (same.some(({ state }) => state !== 'failed')) return;
    const attempt: Attempt = { request, entries: [], orders: [], state: 'open', owner: process };
    world.attempts.push(attempt);
    world.began(request.id);
    world.count(same.length === 0 ? 'rotations' : 'resumed after a failure');
    world.tell(() => `the rotation ${short(request.id)} begins at ${process.incarnation}`);
    execute(world, process, attempt);
  });
}

/** Goes on with an attempt in this process, from its last entry on. */
export function execute(world: World, process: RotatorProcess, attempt: Attempt): void {
  const { request } = attempt;
  const about = fenced(rotationOf(world, process, attempt), () => process.mayAct());
  const run = openRun(world, { process, attempt, about });
  rotate(run, about).then(
    (ended) =>
      process.database('journal.end', () => {
        if (attempt.owner !== process || isForgotten(world, attempt)) return;
        attempt.state = 'ended';
        world.outcomes.push(ended);
        world.tell(() => `the rotation ${short(request.id)} has ended: ${ended.outcome}`);
        world.count(ended.outcome);
      }),
    (error: unknown) => {
      const failure = toJournalError(error);
      about.report({ kind: 'failed', code: failure.code, message: failure.message });
      return process.database('journal.end', () => {
        if (attempt.owner !== process || isForgotten(world, attempt)) return;
        attempt.state = 'failed';
        world.tell(() => `the rotation ${short(request.id)} has failed: ${failure.code}, ${failure.message}`);
        world.count(`failed: ${failure.code}`);
      });
    },
  );
}

/** The database has forgotten this attempt, and nobody can write to what isn't there. Nor can who no longer owns it. */
const isForgotten = (world: World, attempt: Attempt): boolean => !world.attempts.includes(attempt);

function rotationOf(world: World, process: RotatorProcess, { request }: Attempt): Rotation {
  const { scenario } = world;
  return {
    ...request,
    policy: scenario.policy,
    source: process.source,
    vault: process.vault,
    fleet: process.fleet,
    clock: process.clock,
    incarnation: process.incarnation,
    attention: () => world.said,
    others: () =>
      process.database('journal.unfinished', () =>
        world
          .allOpen()
          .map(({ request: { id } }) => id)
          .filter((id) => id !== request.id),
      ),
    report: (event) => hear(world, event),
  };
}

function hear(world: World, event: RotationEvent): void {
  world.show('event', event);
  if (event.kind === 'phase') {
    world.tell(() => `phase ${event.phase}`);
    world.reached(event.phase);
  }
  if (event.kind === 'held') {
    world.count('held');
    world.tell(() => `it is held: ${event.stragglers.join(', ')}`);
  }
  if (event.kind === 'rejected') world.tell(() => `it is rolled back: ${event.reason}`);
}

/** A durable run: what the attempt remembers is not done again. It retries, and is fenced off, as the real one. */
function openRun(world: World, at: { process: RotatorProcess; attempt: Attempt; about: Rotation }): Run {
  const { process, attempt, about } = at;
  const { policy, report, clock } = about;
  let position = 0;

  async function once<T>(name: string, action: () => Promise<T>): Promise<T> {
    const number = position;
    position += 1;
    const known = attempt.entries[number];
    if (known) {
      if (known.name !== name) throw new Error(`Step ${number} was ${known.name} and is ${name} now.`);
      return outcome(known) as T;
    }
    const entry = await action().then(
      (result): Entry => ({
        name,
        result: result === undefined ? undefined : JSON.parse(JSON.stringify(result)),
      }),
      (error: unknown): Entry => ({ name, error: fields(toJournalError(error)) }),
    );
    const isOwner = await process.database('journal.step', () => {
      if (isForgotten(world, attempt) || attempt.owner !== process) return false;
      attempt.entries[number] = entry;
      // What was heard is taken away along with the note that it was heard.
      if (name === 'signal' && 'result' in entry && entry.result !== null) attempt.orders.shift();
      world.show('journal', entry);
      return true;
    });
    // Somebody else goes on with it, or the database has forgotten it.
    if (!isOwner) return new Promise(() => undefined);
    return outcome(entry) as T;
  }

  async function heard(withinMs: number): Promise<GivenOrder | null> {
    const until = clock.now() + withinMs;
    for (;;) {
      const order = await process.database('journal.receive', () => attempt.orders[0] ?? null);
      if (order || clock.now() >= until || isForgotten(world, attempt)) return order;
      await clock.sleep(60_000);
    }
  }

  return {
    id: attempt.request.id,
    step: (name, action) =>
      once(name, () => {
        const forMs = name === 'preflight' ? 0 : policy.retryForMs;
        const guarded = async () => {
          await process.mayAct();
          return action();
        };
        return withRetries(guarded, { phase: name, forMs, clock, report });
      }),
    signal: async <T extends Json>(_name: 'operator', withinMs: number) =>
      ((await once('signal', () => heard(withinMs))) as T | null) ?? undefined,
  };
}

function outcome(entry: Entry): unknown {
  if ('error' in entry) throw new JournalError(entry.error);
  return entry.result;
}

function fields({
  code,
  message,
  hint,
  passing,
}: JournalError): ConstructorParameters<typeof JournalError>[0] {
  return { code, message, hint, passing };
}
