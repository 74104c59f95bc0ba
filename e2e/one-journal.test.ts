import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, startCli, writeConfiguration } from './cli.ts';
import { startClient } from './kill/clients.ts';
import { buildWorld, secretName, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await buildWorld();
});
afterAll(() => world.close());

describe('two rotators on one embedded journal', () => {
  it('the second one is told so, and the first one never notices', async () => {
    const data = join(world.folder, 'embedded');
    const config = await writeConfiguration(world, { instances: 1 }, (text) =>
      text.replace('journal: { secret: keyturn-journal }', `journal: { data: ${data} }`),
    );
    const rotate = ['rotate', secretName, '--config', config, '--json'];
    const first = startCli(world, rotate);
    await first.says(/waiting for .*adoption/);

    const second = await runCli(world, rotate);
    expect(second.code).toBe(8);
    expect(second.out).toBe('');
    expect(second.err).toMatch(/^keyturn: [^\n]+\n {2}hint: [^\n]+\n$/);

    const client = await startClient(world, 'one');
    const { code, err } = await first.ended;
    expect(code, err).toBe(0);
    expect(client.takeFailures()).toEqual([]);
    await client.close();
  });
});
