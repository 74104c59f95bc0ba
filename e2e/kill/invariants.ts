import { type World } from '../world.ts';
import { postgresUnderTest, query } from './postgres-under-test.ts';
import type { SourceUnderTest } from './source-under-test.ts';

/** A broken promise of the protocol, by its name in the design. */
export interface Violation {
  readonly invariant:
    | 'I1 available'
    | 'I2 current'
    | 'I3 gone'
    | 'I4 silent'
    | 'I5 single'
    | 'I6 no orphans'
    | 'I7 honest';
  readonly what: string;
}

/** One round: what was rotated and what was said about it. */
export interface RoundFacts {
  /** The version and the value that were current before the round. */
  readonly old: { readonly version: string; readonly value: string };
  /** How the rotation had to end; `closed` if absent. */
  readonly expected?: 'closed' | 'rolled back';
  /** The values that were issued in it, where they are known. */
  readonly issued?: readonly string[];
  /** What the last rotator of the round printed. */
  readonly outcome: { readonly outcome: string; readonly id: string; readonly version: string } | undefined;
  /** Requests of the live clients that failed while it went on. */
  readonly failures: readonly string[];
  /** Moments at which the vault's current value did not log in. */
  readonly deadCurrents: readonly string[];
  /** How long the source's log was before the round. */
  readonly logBefore: number;
}

/** Looks at the source, the vault, the journal and all output after a round. */
export async function checkInvariants(
  world: World,
  facts: RoundFacts,
  source: SourceUnderTest = postgresUnderTest(world),
): Promise<Violation[]> {
  const at: Checked = { world, source, facts };
  const wasRefused = await source.wasRefused(ended(facts), facts.logBefore); // before anybody here logs in
  const versions = await versionsOf(at);
  const enabled = versions.filter((version) => version.enabled);
  return [
    ...(await available(at, enabled)),
    ...(await current(at)),
    ...(await gone(at)),
    ...(await silent(world)),
    ...single(at, versions),
    ...(await noOrphans(at, enabled)),
    ...honest(at, wasRefused),
  ];
}

interface Checked {
  readonly world: World;
  readonly source: SourceUnderTest;
  readonly facts: RoundFacts;
}

/** The value that the rotation was to end: the old one, or, if it was rolled back, the last that was issued. */
function ended({ old, expected, issued = [] }: RoundFacts): string {
  return (expected === 'rolled back' ? issued.at(-1) : undefined) ?? old.value;
}

interface Version {
  readonly version: string;
  readonly enabled: boolean;
  readonly tags: Record<string, string>;
}

async function versionsOf({ world, source }: Checked): Promise<Version[]> {
  const versions: Version[] = [];
  for await (const { version, enabled, tags } of world.vault.listPropertiesOfSecretVersions(source.secret)) {
    versions.push({ version: version ?? '', enabled: enabled !== false, tags: tags ?? {} });
  }
  return versions;
}

/** A version that is still enabled may be held by somebody; so may all that a request ran into. */
async function available(
  { world, source, facts }: Checked,
  enabled: readonly Version[],
): Promise<Violation[]> {
  const violations: Violation[] = facts.failures.map((what) => ({
    invariant: 'I1 available',
    what: `a request failed: ${what}`,
  }));
  for (const { version } of enabled) {
    const answer = await source.logIn(await read(world, { secret: source.secret, version }));
    if (answer)
      violations.push({
        invariant: 'I1 available',
        what: `the enabled version ${version} is answered with ${answer}`,
      });
  }
  return violations;
}

async function current({ world, source, facts: { deadCurrents } }: Checked): Promise<Violation[]> {
  const { value = '', properties } = await world.vault.getSecret(source.secret);
  const answer = await source.logIn(value);
  const dead =
    answer === undefined ? deadCurrents : [...deadCurrents, `version ${properties.version}: ${answer}`];
  return dead.map((what) => ({ invariant: 'I2 current', what }));
}

async function gone({ source, facts }: Checked): Promise<Violation[]> {
  const { expected = 'closed', outcome } = facts;
  if (outcome?.outcome !== expected)
    return [{ invariant: 'I3 gone', what: `the rotation ended as ${outcome?.outcome ?? 'nothing'}` }];
  const violations: Violation[] = [];
  const value = ended(facts);
  if (!source.isRefusal(await source.logIn(value)))
    violations.push({ invariant: 'I3 gone', what: 'the credential that was revoked is not refused' });
  const sessions = await source.sessions(value);
  if (sessions > 0)
    violations.push({ invariant: 'I3 gone', what: `${sessions} sessions of the revoked credential live` });
  return violations;
}

/** Values in whatever form they might have been written. */
async function silent(world: World): Promise<Violation[]> {
  const texts = [...world.written, await journalText(world)];
  return [...world.values].flatMap((value) =>
    forms(value).some((form) => texts.some((text) => text.includes(form)))
      ? [{ invariant: 'I4 silent' as const, what: `a value of ${value.length} characters was written` }]
      : [],
  );
}

function forms(value: string): string[] {
  return [value, Buffer.from(value).toString('base64'), Buffer.from(value).toString('hex')];
}

function single({ source, facts }: Checked, versions: readonly Version[]): Violation[] {
  const { outcome, old, expected } = facts;
  const id = `${source.secret}@${old.version}`;
  const published = versions.filter(({ tags }) => tags['keyturn-rotation'] === id);
  const back = published.filter(({ tags }) => tags['keyturn-rolled-back'] !== undefined);
  const held = new Set(
    versions.filter(({ enabled }) => enabled).map(({ tags }) => tags['keyturn-credential']),
  );
  const violations: Violation[] = [];
  if (published.length - back.length !== 1 || back.length !== (expected === 'rolled back' ? 1 : 0)) {
    const what = `the rotation published ${published.length} versions, ${back.length} of them to roll back`;
    violations.push({ invariant: 'I5 single', what });
  }
  if (held.size > 1)
    violations.push({ invariant: 'I5 single', what: `${held.size} credentials are in enabled versions` });
  if (outcome && outcome.id !== id)
    violations.push({ invariant: 'I5 single', what: `${outcome.id} was run` });
  return violations;
}

/** Whatever can log in is held by a version that may be used. */
async function noOrphans({ source }: Checked, enabled: readonly Version[]): Promise<Violation[]> {
  const accounted = new Set(enabled.map(({ tags }) => tags['keyturn-credential']));
  return (await source.live())
    .filter((ref) => !accounted.has(ref))
    .map((ref) => ({ invariant: 'I6 no orphans', what: `${ref} can log in and no version holds it` }));
}

/** Whoever says that a credential is gone has tried it: the source itself must have refused such a login. */
function honest({ facts }: Checked, wasRefused: boolean): Violation[] {
  if (facts.outcome === undefined || wasRefused) return [];
  const { username } = new URL(ended(facts));
  return [
    { invariant: 'I7 honest', what: `${facts.outcome.outcome} was said, and ${username} was never refused` },
  ];
}

/** Reads a version, the current one if none is named, and keeps its password in mind. */
export async function read(
  { vault, values }: World,
  { secret, version }: { readonly secret: string; readonly version?: string },
): Promise<string> {
  const { value = '' } = await vault.getSecret(secret, version === undefined ? {} : { version });
  values.add(new URL(value).password);
  return value;
}

/** Every row of every table that the engine and the rotator keep. */
async function journalText({ journalUrl }: World): Promise<string> {
  const tables = await query(
    journalUrl,
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('dbos', 'keyturn')",
  );
  const dumps = [];
  for (const { name } of tables)
    dumps.push(JSON.stringify(await query(journalUrl, `select * from ${String(name)}`)));
  return dumps.join('\n');
}
