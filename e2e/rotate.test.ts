import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli, startCli, writeConfiguration } from './cli.ts';
import { startClient } from './kill/clients.ts';
import { checkInvariants } from './kill/invariants.ts';
import { logIn } from './kill/postgres-under-test.ts';
import { buildWorld, run, secretName, type World } from './world.ts';

function rotate(config: string): string[] {
  return ['rotate', secretName, '--config', config, '--json'];
}

describe('keyturn rotate', () => {
  let world: World;

  beforeAll(async () => {
    world = await buildWorld();
  });

  afterAll(() => world.close());

  beforeEach(() => world.emulator.faults.clear());

  async function current(): Promise<{ version: string; value: string }> {
    const { value = '', properties } = await world.vault.getSecret(secretName);
    world.values.add(new URL(value).password);
    return { version: properties.version ?? '', value };
  }

  it('rotates, proves that the old credential is refused, and prints one JSON object', async () => {
    const old = await current();
    const logBefore = (await world.sourceLog()).length;
    const client = await startClient(world, 'one');
    const ran = await runCli(world, rotate(await writeConfiguration(world, { instances: 1 })));
    const failures = client.takeFailures();
    await client.close();
    expect(ran.code, ran.err).toBe(0);
    const outcome = JSON.parse(ran.out) as {
      outcome: string;
      id: string;
      version: string;
      notChecked: string[];
    };
    expect(outcome).toMatchObject({ outcome: 'closed', id: `${secretName}@${old.version}`, notChecked: [] });
    expect(await checkInvariants(world, { old, outcome, failures, deadCurrents: [], logBefore })).toEqual([]);
  });

  it('says which right the vault refuses and leaves everything as it was', async () => {
    const old = await current();
    world.emulator.faults.inject({
      operation: 'getSecret',
      effect: { kind: 'status', status: 403, code: 'Forbidden' },
    });
    const ran = await runCli(world, ['rotate', secretName, '--config', await withOwnJournal()]);
    world.emulator.faults.clear();
    expect(ran.code).toBe(4);
    expect(ran.err).toMatch(/keyturn: Could not read the secret .*: the vault answered 403/);
    expect(ran.err).toMatch(/hint: .*Key Vault Secrets Officer/);
    expect(await current()).toEqual(old);
  });

  /** The journal's own secret would be the first thing the vault refuses. */
  async function withOwnJournal(): Promise<string> {
    return writeConfiguration(world, { instances: 0 }, (text) =>
      text.replace('secret: keyturn-journal', `data: ${world.folder}/own`),
    );
  }

  it('names file, line and key of a wrong configuration', async () => {
    const config = await writeConfiguration(world, { instances: 0 }, (text) =>
      text.replace('owner:', 'ower:'),
    );
    const ran = await runCli(world, rotate(config));
    expect(ran.code).toBe(2);
    expect(ran.err).toMatch(/keyturn\.yaml:11: secrets\.orders-db\.source\.ower: there is no such key/);
  });

  it('says which secrets are configured when asked for another', async () => {
    const ran = await runCli(world, [
      'rotate',
      'nothing',
      '--config',
      await writeConfiguration(world, { instances: 0 }),
    ]);
    expect(ran.code).toBe(2);
    expect(ran.err).toMatch(/The secret nothing is not configured/);
    expect(ran.err).toMatch(/hint: Configured: orders-db/);
  });

  it('refuses a source without rights with the statement to run, and rotates once it was run', async () => {
    await run(world.sourceUrl, ['alter role keyturn nocreaterole']);
    const config = await writeConfiguration(world, { instances: 0 });
    const refused = await runCli(world, rotate(config));
    expect(refused.code).toBe(5);
    const statement = /(alter role "?keyturn"? (?:with )?createrole)/i.exec(refused.err)?.[1];
    expect(statement, refused.err).toBeDefined();
    await run(world.sourceUrl, [statement ?? '']);
    const ran = await runCli(world, rotate(config));
    expect(ran.code, ran.err).toBe(0);
  });

  it('is held at the deadline while an instance is silent, and goes on when asked again', async () => {
    const old = await current();
    const held = await runCli(
      world,
      rotate(await writeConfiguration(world, { instances: 1, deadline: '1s' })),
    );
    expect(held.code, held.err).toBe(6);
    expect(held.err).toMatch(/held at the deadline; waiting for orders-api/);
    expect(await logIn(old.value)).toBeUndefined();
    expect(await logIn((await current()).value)).toBeUndefined();

    const client = await startClient(world, 'late');
    const ran = await runCli(world, rotate(await writeConfiguration(world, { instances: 1 })));
    await client.close();
    expect(ran.code, ran.err).toBe(0);
    expect(JSON.parse(ran.out)).toMatchObject({ outcome: 'closed', id: `${secretName}@${old.version}` });
  });

  it('stops at Ctrl-C with both credentials working, and is resumed by the same command', async () => {
    const old = await current();
    const logBefore = (await world.sourceLog()).length;
    const running = startCli(world, rotate(await writeConfiguration(world, { instances: 1 })));
    await running.says(/converge/);
    running.interrupt();
    const interrupted = await running.ended;
    expect(interrupted.code).toBe(130);
    expect(interrupted.err).toMatch(/run again to resume/);
    expect(await logIn(old.value)).toBeUndefined();
    expect(await logIn((await current()).value)).toBeUndefined();

    const ran = await runCli(world, rotate(await writeConfiguration(world, { instances: 0 })));
    expect(ran.code, ran.err).toBe(0);
    const outcome = JSON.parse(ran.out) as { outcome: string; id: string; version: string };
    expect(await checkInvariants(world, { old, outcome, failures: [], deadCurrents: [], logBefore })).toEqual(
      [],
    );
  });

  it('says that the database is down and changes nothing', async () => {
    const old = await current();
    await world.stopSource();
    const ran = await runCli(world, rotate(await writeConfiguration(world, { instances: 0 })));
    expect(ran.code).toBe(5);
    expect(ran.err).toMatch(/keyturn: .*ECONNREFUSED/);
    expect(ran.err).toMatch(/hint: /);
    expect(await current()).toEqual(old);
  });
});
