import type { Phase } from '../src/events.ts';
import type { Outcome } from '../src/rotation.ts';
import { openFleet, type SimulatedFleet } from './fleet.ts';
import { brokenInvariant, overlapOfAnother } from './invariants.ts';
import { execute, type Attempt } from './journal.ts';
import { ask, meddle, say } from './people.ts';
import { openRandom, type Random } from './random.ts';
import { startProcess, type RotatorProcess } from './rotator.ts';
import { drawScenario, minute, type Fate, type Lapse, type Scenario, type Service } from './scenario.ts';
import { mark, openSource, type Credential, type SimulatedSource } from './source.ts';
import { openStory, type Tell } from './story.ts';
import { openTimeline, type Timeline } from './timeline.ts';
import { openVault, type SimulatedVault } from './vault.ts';

/** Everything there is, as one seed has it. */
export interface World {
  readonly scenario: Scenario;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly tell: Tell;
  readonly vault: SimulatedVault;
  readonly source: SimulatedSource;
  readonly fleet: SimulatedFleet;
  /** What the database remembers, oldest first. */
  readonly attempts: Attempt[];
  readonly outcomes: Outcome[];
  /** Credentials whose end somebody answers for who is not the rotator. */
  readonly excused: ReadonlySet<Credential>;
  /** How often an operator has spoken. */
  said: number;
  /** Where a value was seen that ought not to be there. */
  readonly leak: string | undefined;
  readonly intruder: string | undefined;
  count(what: string): void;
  /** Something that people may come to read. */
  show(place: string, thing: unknown): void;
  /** The rotation that is under way. */
  open(): Attempt | undefined;
  /** More than one only for a moment. */
  allOpen(): readonly Attempt[];
  anyRotator(): RotatorProcess | undefined;
  isOut(service: Service): boolean;
  isHealed(): boolean;
  processDied(process: RotatorProcess, fate: Fate | undefined): void;
  lapsed(process: RotatorProcess, lapse: Lapse): void;
  /** A rotation has come to this phase. */
  reached(phase: Phase): void;
  began(rotation: string): void;
  /** The source is asked for a credential for this rotation. */
  issuing(rotation: string): void;
  /** A rotation has begun, or is about to, that must not. */
  intrude(how: string): void;
  /** Somebody takes it upon themselves that this rotation cuts clients off. */
  excuse(rotation: string): void;
}

/** What became of one seed. */
export interface Run {
  readonly seed: number;
  /** What went wrong; absent if nothing did. */
  readonly broken?: string;
  readonly story: readonly string[];
  /** How much happened. */
  readonly events: number;
  /** What happened how often. */
  readonly counts: ReadonlyMap<string, number>;
}

/** A rotator that lost its lock is taken over after this long; see `takeover.ts`. */
const graceMs = 15_000;
/** By then a rotation that nothing disturbs any more must have ended. */
const patienceMs = 6 * 60 * minute;
const askAgainMs = 5 * minute;

/** Lives through one seed until its rotations have ended, or something that must never be. */
export async function live(seed: number, { told = false } = {}): Promise<Run> {
  const scenario = drawScenario(seed);
  const random = openRandom(seed + 0x5eed);
  const start = Date.UTC(2026, 0, 1) + random.between(0, 999);
  const timeline = openTimeline(start);
  const { tell, lines } = openStory({ told, now: () => timeline.now });
  const counts = new Map<string, number>();
  const excusedRotations = new Set<string>();
  const excused = new Set<Credential>();
  const phases = new Set<Phase>();
  const processes: RotatorProcess[] = [];
  const [fatesToCome, lapsesToCome] = [[...scenario.fates], [...scenario.lapses]];
  let numberOfProcesses = 0;
  let attempts: Attempt[] = [];
  let begun = '';
  let leak: string | undefined;
  let intruder: string | undefined;
  const since = (): number => timeline.now - start;

  const source = openSource({ ...scenario.source, ended });
  const vaultSkewMs = random.between(-scenario.skewMs, scenario.skewMs);
  const vault = openVault({ source, now: () => timeline.now + vaultSkewMs });
  const isOut = (service: Service): boolean =>
    scenario.outages.some((one) => one.service === service && since() >= one.from && since() < one.until);
  const fleet = openFleet({
    timeline,
    random,
    vault,
    vaultAnswers: () => !isOut('vault'),
    isHeard: () => processes.length > 0,
    tell,
  });

  /** Whose doing is it that this credential is refused from now on? */
  function ended(credential: Credential): void {
    const underWay = [begun, ...world.allOpen().map(({ request }) => request.id)];
    const isPeoples =
      underWay.some((id) => excusedRotations.has(id)) || isRaced(credential) || isSaidToBeIdle(credential);
    if (isPeoples) excused.add(credential);
  }

  /** Key Vault knows no condition on a set: what a person sets in the very moment of a revocation is not seen. */
  function isRaced(credential: Credential): boolean {
    const { latency, faultRate, outages, lapses, fates, policy } = scenario;
    const isCalm = faultRate === 0 && [...outages, ...lapses, ...fates].length === 0;
    const momentMs = isCalm ? 4 * latency.mostMs : 6 * policy.requestTimeoutMs;
    const justNow = timeline.now + vaultSkewMs - momentMs;
    return vault.stored.some((one) => one.credential === credential && !one.byKeyturn && one.setAt > justNow);
  }

  /** Whoever disables a version says that nobody uses it; a source that can't tell doesn't contradict. */
  function isSaidToBeIdle(credential: Credential): boolean {
    const holding = vault.stored.filter((one) => one.credential === credential);
    return !scenario.source.tellsUsage && holding.some((one) => !one.enabled && !one.disabledByKeyturn);
  }

  function startRotator(executorId: string): void {
    numberOfProcesses += 1;
    const [fate, lapse] = [fatesToCome.shift(), lapsesToCome.shift()];
    const process = startProcess(world, { executorId, number: numberOfProcesses, fate, lapse });
    processes.push(process);
    tell(() => `${process.incarnation} starts`);
    for (const attempt of attempts)
      if (attempt.state === 'open' && attempt.owner.executorId === executorId && attempt.owner.isDead)
        goOn(attempt, process);
  }

  function goOn(attempt: Attempt, process: RotatorProcess): void {
    attempt.owner = process;
    tell(() => `${process.incarnation} goes on with what is open`);
    execute(world, process, attempt);
  }

  /** Others see that a lock has been free for a while. Whoever lost it ends when it notices. */
  function loseLock(process: RotatorProcess, noticesAfterMs: number): void {
    if (process.lockLostAt !== undefined) return;
    process.lockLostAt = timeline.now;
    tell(() => `the database gives the lock of ${process.incarnation} away`);
    count('locks lost');
    beTakenOver(process);
    timeline.after(noticesAfterMs, () => process.die());
  }

  /** Whoever has lost its lock, by death or without knowing it, has what it began gone on with by another. */
  function beTakenOver(process: RotatorProcess): void {
    const look = (): void => {
      takeOver(process);
      if (attempts.some(({ state, owner }) => state === 'open' && owner === process))
        timeline.after(2_000, look);
    };
    timeline.after(graceMs + random.between(0, 2_000), look);
  }

  function takeOver(from: RotatorProcess): void {
    const attempt = attempts.find(({ state, owner }) => state === 'open' && owner === from);
    const other = processes.find((one) => one !== from && one.lockLostAt === undefined);
    if (!attempt || !other) return;
    count('takeovers');
    goOn(attempt, other);
  }

  function forget(): void {
    tell(() => 'the database is lost');
    count('journals lost');
    attempts = [];
    fleet.forget();
  }

  function count(what: string): void {
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }

  const world: World = {
    scenario,
    timeline,
    random,
    tell,
    vault,
    source,
    fleet,
    get attempts() {
      return attempts;
    },
    outcomes: [],
    excused,
    said: 0,
    get leak() {
      return leak;
    },
    get intruder() {
      return intruder;
    },
    count,
    show(place, thing) {
      if (JSON.stringify(thing)?.includes(mark)) leak ??= place;
    },
    open: () => world.allOpen()[0],
    allOpen: () => attempts.filter(({ state }) => state === 'open'),
    anyRotator() {
      const living = processes.filter((one) => one.lockLostAt === undefined);
      return living.length === 0 ? undefined : random.of(living);
    },
    isOut,
    isHealed: () => since() >= scenario.healedAt,
    processDied(process, fate) {
      processes.splice(processes.indexOf(process), 1);
      if (fate?.losesJournal) forget();
      const sameName = fate?.sameName ?? true;
      const executorId = sameName ? process.executorId : `rotator ${numberOfProcesses + 1}`;
      const restart = (): void => {
        if (isOut('database')) timeline.after(5_000, restart);
        else startRotator(executorId);
      };
      timeline.after(fate?.restartAfterMs ?? 2_000, restart);
      beTakenOver(process);
    },
    lapsed(process, { kind, forMs }) {
      if (kind === 'pause') process.pause(forMs);
      const noticesAfterMs = random.between(1_000, 100_000);
      if (kind === 'lock lost') loseLock(process, noticesAfterMs);
      else if (forMs > 30_000) loseLock(process, forMs + noticesAfterMs);
    },
    reached(phase) {
      if (phases.has(phase)) return;
      phases.add(phase);
      for (const { at, what, phase: when } of scenario.meddlings)
        if (when === phase) timeline.after(at, () => meddle(world, what));
    },
    began: (rotation) => void (begun = rotation),
    issuing: (rotation) => void (intruder ??= overlapOfAnother(world, rotation)),
    intrude: (how) => void (intruder ??= how),
    excuse: (rotation) => void excusedRotations.add(rotation),
  };

  function isOver(): boolean {
    return world.isHealed() && world.outcomes.length >= scenario.rotations && world.open() === undefined;
  }

  return begin();

  async function begin(): Promise<Run> {
    arrange();
    let broken: string | undefined;
    const isMeddled = scenario.meddlings.length > 0;
    await timeline.run(start + scenario.healedAt + (isMeddled ? 30 * minute : patienceMs), () => {
      broken = brokenInvariant(world);
      return broken === undefined && !isOver();
    });
    if (broken === undefined && !isMeddled && !isOver()) broken = 'it has not ended';
    if (broken !== undefined) tell(() => `BROKEN: ${broken}`);
    return {
      seed,
      ...(broken === undefined ? {} : { broken }),
      story: lines,
      events: timeline.happened,
      counts,
    };
  }

  function arrange(): void {
    const first = source.put('a', 'a');
    first.proven = true;
    vault.set(first.value, {}, true);
    for (const traits of scenario.instances) fleet.start(traits);
    for (let number = 1; number <= scenario.rotators; number += 1) startRotator(`rotator ${number}`);
    // By then everybody runs, as before any rotation.
    const from = 10_000;
    for (const { at, by, compromised } of scenario.requests)
      timeline.after(from + at, () => void ask(world, by, compromised));
    for (const { at, order, who } of scenario.orders) timeline.after(from + at, () => say(world, order, who));
    for (const { at, what, phase } of scenario.meddlings)
      if (phase === undefined) timeline.after(from + at, () => meddle(world, what));
    for (const { service, from: begins } of scenario.outages)
      if (service === 'database')
        timeline.after(begins, () =>
          [...processes].forEach((one) => loseLock(one, random.between(1_000, 10_000))),
        );
    timeline.after(scenario.healedAt, heal);
  }

  /** From now on nothing goes wrong, and who has to is asking until it is done. */
  function heal(): void {
    tell(() => 'from here on nothing goes wrong any more');
    source.ignoresRevocations = false;
    const again = (): void => {
      if (isOver()) return;
      if (world.open() === undefined) void ask(world, 'schedule');
      // A second person agrees in the end.
      if (scenario.policy.needsApproval) say(world, 'approve', 'cleo');
      timeline.after(askAgainMs, again);
    };
    again();
  }
}
