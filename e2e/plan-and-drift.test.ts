import { postgres } from '@keyturn/sources/postgres';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli, writeConfiguration } from './cli.ts';
import { buildWorld, roles, run, secretName, type World } from './world.ts';

interface Finding {
  readonly check: string;
  readonly mark: string;
  readonly says: string;
  readonly hint?: string;
}

interface Plan {
  readonly rotation: { readonly id: string; readonly as: string };
  readonly mayStart: boolean;
  readonly findings: readonly Finding[];
}

interface Drift {
  readonly findings: readonly { readonly check: string; readonly ref?: string; readonly cleaned?: unknown }[];
}

let world: World;
beforeAll(async () => {
  world = await buildWorld();
});
afterAll(() => world.close());
beforeEach(() => world.emulator.faults.clear());

async function keyturn(...args: string[]) {
  const config = await writeConfiguration(world, { instances: 0 });
  return runCli(world, [...args, secretName, '--config', config, '--json']);
}

async function planned(): Promise<{ code: number | null; plan: Plan }> {
  const { code, out, err } = await keyturn('plan');
  const [plan] = (out === '' ? [] : JSON.parse(out)) as Plan[];
  if (!plan) throw new Error(err);
  return { code, plan };
}

async function drifted(...args: string[]): Promise<{ code: number | null; findings: Drift['findings'] }> {
  const { code, out, err } = await keyturn('drift', ...args);
  const [drift] = (out === '' ? [] : JSON.parse(out)) as Drift[];
  if (!drift) throw new Error(err);
  return { code, findings: drift.findings };
}

/** Every version with its tags and whether it is enabled. */
async function vaultState(): Promise<unknown> {
  const versions = [];
  for await (const { version, enabled, tags, updatedOn } of world.vault.listPropertiesOfSecretVersions(
    secretName,
  ))
    versions.push({ version, enabled, tags, updatedOn });
  return versions;
}

describe('keyturn plan', () => {
  it('says that a rotation may start, and changes nothing', async () => {
    const before = await vaultState();
    const { code, plan } = await planned();
    expect(code, JSON.stringify(plan, null, 1)).toBe(0);
    const { properties } = await world.vault.getSecret(secretName);
    expect(plan).toMatchObject({
      mayStart: true,
      rotation: { id: `${secretName}@${properties.version}`, as: 'start' },
    });
    const marks = Object.fromEntries(plan.findings.map(({ check, mark }) => [check, mark]));
    expect(marks).toMatchObject({ 'vault: update': 'ok', 'vault: set': 'not checked', 'free slot': 'ok' });
    expect(await vaultState()).toEqual(before);
  });

  it('stops with 3 at a right that the vault refuses, and says so in words', async () => {
    const effect = { kind: 'status', status: 403, code: 'Forbidden' } as const;
    world.emulator.faults.inject({ operation: 'updateSecret', effect });
    const config = await writeConfiguration(world, { instances: 1 });
    const ran = await runCli(world, ['plan', '--config', config]);
    expect(ran.code).toBe(3);
    expect(ran.out).toMatch(/orders-db: a rotation may not start/);
    expect(ran.out).toMatch(/STOP {2}vault: update .*403/);
    expect(ran.out).toMatch(/hint: .*Key Vault Secrets Officer/);
    expect(ran.out).toMatch(/warn {2}consumers .*0 of 1 instances seen/);
  });
});

describe('keyturn drift', () => {
  it('finds nothing before the first rotation and after it', async () => {
    expect(await drifted()).toEqual({ code: 0, findings: [] });
    expect((await keyturn('rotate')).code).toBe(0);
    expect(await drifted()).toEqual({ code: 0, findings: [] });
  });

  it('reports a login that people gave back, and leaves it alone', async () => {
    await run(world.sourceUrl, [`alter role ${roles[0]} login`]);
    const { code, findings } = await drifted('--clean');
    expect(code).toBe(9);
    expect(findings).toMatchObject([{ check: 'revived', cleaned: { ended: false } }]);
    await run(world.sourceUrl, [`alter role ${roles[0]} nologin`]);
  });

  it('ends what Keyturn issued and nobody holds or uses, and nothing while somebody uses it', async () => {
    const { source, current } = await asRotator();
    const { ref, value } = await source.issue(`${secretName}@${current}`, await currentRef());
    world.values.add(new URL(value.reveal()).password);
    const session = await logIn(value.reveal());
    const used = await drifted('--clean');
    expect(used).toMatchObject({ code: 9, findings: [{ check: 'orphan', ref, cleaned: { ended: false } }] });
    await session.end();
    expect(await drifted()).toMatchObject({ code: 9, findings: [{ check: 'orphan', ref, endable: true }] });
    expect(await drifted('--clean')).toMatchObject({ code: 0, findings: [{ cleaned: { ended: true } }] });
    await expect(source.prove(value)).rejects.toMatchObject({ code: 'REFUSED' });
    expect(await drifted()).toEqual({ code: 0, findings: [] });
  });

  it('ends nothing while a rotator is at work on the journal', async () => {
    const rotator = new Client({ connectionString: world.journalUrl, application_name: 'keyturn other' });
    await rotator.connect();
    const config = await writeConfiguration(world, { instances: 0 });
    const ran = await runCli(world, ['drift', '--clean', '--config', config]);
    await rotator.end();
    expect(ran).toMatchObject({ code: 8, err: expect.stringContaining('keyturn other') as string });
  });

  it('sees a password that was set behind its back', async () => {
    await run(world.sourceUrl, [`alter role ${roles[1]} password 'by-hand'`]);
    const { code, findings } = await drifted('--clean');
    expect(code).toBe(9);
    expect(findings.map(({ check }) => check)).toEqual(['current refused']);
    const { code: planCode, plan } = await planned();
    expect(planCode).toBe(3);
    expect(plan.findings.filter(({ mark }) => mark === 'stop').map(({ check }) => check)).toEqual([
      'current value',
    ]);
  });
});

async function currentRef(): Promise<string | undefined> {
  const { properties } = await world.vault.getSecret(secretName);
  return properties.tags?.['keyturn-credential'];
}

/** The source as the rotator sees it. */
async function asRotator() {
  const { host, port, database, owner, adminSecret } = world.orders.source;
  const { value: connectionString = '' } = await world.vault.getSecret(adminSecret);
  const { properties } = await world.vault.getSecret(secretName);
  const source = postgres({
    roles: [...roles],
    owner,
    admin: async () => ({ connectionString }),
    template: { host, port, database },
    format: 'url',
  });
  return { source, current: properties.version ?? '' };
}

async function logIn(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
