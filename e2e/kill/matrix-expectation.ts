import { expect } from 'vitest';
import { buildWorld } from '../world.ts';
import { startClient } from './clients.ts';
import { playMatrix } from './matrix.ts';
import type { KillPoint } from './protocol.ts';

/** Plays one half of the matrix on servers of its own: the halves run side by side. */
export async function expectMatrixToHold(moment: KillPoint['moment']): Promise<void> {
  const world = await buildWorld();
  const clients = [await startClient(world, 'one'), await startClient(world, 'two')];
  let kills = 0;
  try {
    for await (const { kill, killed, violations } of playMatrix(world, clients, [moment])) {
      const where = kill === 'never' ? 'undisturbed' : JSON.stringify(kill);
      expect(killed, `${where} was reached`).toBe(kill !== 'never');
      expect(violations, where).toEqual([]);
      if (killed) kills += 1;
    }
  } finally {
    for (const client of clients) await client.close();
    await world.close();
  }
  expect(kills).toBeGreaterThan(60);
}
