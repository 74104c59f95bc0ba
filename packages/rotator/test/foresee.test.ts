import { SourceError } from '@keyturn/source';
import { describe, expect, it } from 'vitest';
import type { Foreseen } from '../src/operations.ts';
import type { Requested } from '../src/policy/which-rotation.ts';
import { foresee } from '../src/triggers/foresee.ts';
import { openWorld, secret, type World } from './fakes/world.ts';

function foreseen({ policy, source, vault, fleet }: World, open?: Requested): Promise<Foreseen> {
  return foresee({
    configured: { policy, source: source.port },
    vault: vault.port,
    unfinished: async () => open,
    instances: (name) => fleet.port.instances(name),
  });
}

describe('what an emergency is going to break', () => {
  it('is told by name before anything is done: instances, consumers without a client, open sessions', async () => {
    const world = openWorld();
    world.source.login(world.oldValue, 'somebody');
    const before = [...world.source.live()];
    expect(await foreseen(world)).toEqual({
      secret,
      breaks: [
        'reports: no client; it may keep the old value for 90 s',
        "2 connected instances, those that don't adopt within 60 s",
        `${world.source.sessionsOf(world.oldValue).length} sessions of the old credential, those that are still open then`,
      ],
      notChecked: [],
    });
    expect(world.source.live()).toEqual(before);
    expect(world.vault.stored).toHaveLength(1);
  });

  it('names what could not be looked at, and tells the rest', async () => {
    const world = openWorld();
    world.source.failNext('usage', new SourceError('UNREACHABLE', 'The source does not answer.'));
    const { breaks, notChecked } = await foreseen(world);
    expect(breaks).toHaveLength(2);
    expect(notChecked).toEqual(['sessions of the old credential: The source does not answer.']);
  });

  it('says so where the source can’t tell of sessions', async () => {
    const world = openWorld();
    world.source.hideUsage();
    const { notChecked } = await foreseen(world);
    expect(notChecked).toEqual(["sessions of the old credential: fake can't tell"]);
  });

  it('comes with the rotation that a request would join', async () => {
    const world = openWorld();
    const open = { id: `${secret}@v1`, vault: world.vault.port.url, secret, from: 'v1' };
    expect(await foreseen(world, open)).toMatchObject({ joins: open.id, notChecked: [] });
  });
});
