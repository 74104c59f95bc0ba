import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRedis } from '../redis-source.ts';
import { buildReplicatedWorld, type ReplicatedWorld } from './replica-round.ts';

describe.skipIf(!hasRedis)(
  'two rotators on one journal, with PostgreSQL and Redis',
  { timeout: 300_000 },
  () => {
    let world: ReplicatedWorld;

    beforeAll(async () => void (world = await buildReplicatedWorld(2)));
    afterAll(() => world.close());

    it('keep I1 to I7 while one of them is killed, with no failed request', async () => {
      const kill = { replica: 1, afterMs: 1_500, restartAfterMs: 1_000 };
      expect(await world.playRound({ kill, asked: [1, 0] })).toEqual([]);
      expect(await world.playRound({ kill: 'never', asked: [0, 1], rejected: true })).toEqual([]);
    });

    it('are caught if a password of Redis that was ended works again', async () => {
      const violations = await world.playRound({ kill: 'never', asked: [0, 1], revived: true });
      const broken = violations.map(({ invariant }) => invariant);
      expect(broken).toContain('I3 gone');
      expect(broken).toContain('I6 no orphans');
    });
  },
);
