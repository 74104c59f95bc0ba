import {
  array,
  assert,
  asyncProperty,
  boolean,
  constant,
  constantFrom,
  integer,
  nat,
  oneof,
  option,
  record,
} from 'fast-check';
import { expect, test } from 'vitest';
import { openLiveSecret } from '../src/live-secret.ts';
import { SecretsError } from '../src/index.ts';
import { readVault } from '../src/vault.ts';
import { fakeClock, settle } from './fakes/fake-clock.ts';
import { fakeVault, httpError } from './fakes/fake-vault.ts';

const event = oneof(
  record({ kind: constant('time' as const), ms: integer({ min: 0, max: 70_000 }) }),
  record({
    kind: constant('publish' as const),
    spreadMs: option(integer({ min: 0, max: 5_000 })),
  }),
  record({ kind: constant('announce again' as const), back: integer({ min: 0, max: 3 }) }),
  record({ kind: constant('load' as const) }),
  record({ kind: constant('watch' as const), isWatched: boolean() }),
  record({ kind: constant('long outage' as const) }),
  record({ kind: constant('refuse' as const), back: integer({ min: 0, max: 2 }) }),
  record({ kind: constant('answer' as const), which: nat(9), fresh: boolean() }),
  record({
    kind: constant('fail' as const),
    which: nat(9),
    status: constantFrom(429, 500, 503, 404),
  }),
);

const numberOf = (version: string) => Number(version.slice(1));

test('whatever happens in whatever order, the version never goes back and one read is in flight', async () => {
  await assert(
    asyncProperty(array(event, { minLength: 5, maxLength: 60 }), async (events) => {
      const clock = fakeClock();
      const vault = fakeVault('v1');
      vault.behaviour = 'hold';
      const answered = new Set<number>();
      const refused = new Set<string>();
      const seen: string[] = [];
      let published = 1;
      const live = openLiveSecret({
        name: 'db',
        ttlMs: 60_000,
        vaultTimeoutMs: 5_000,
        staleIfErrorMs: 600_000,
        safetyTtlMs: 300_000,
        clock,
        random: () => 0.5,
        read: (signal) => readVault(vault, 'db', signal),
        changed: (secret) => seen.push(secret.version),
        failed: ({ error }) => expect(error).toBeInstanceOf(SecretsError),
        stale: ({ ageMs, error }) => expect(ageMs >= 60_000 || error.code === 'VAULT_NO_SECRET').toBe(true),
      });
      const settleRead = (which: number, how: (index: number) => void) => {
        const index = vault.reads.length === 0 ? -1 : which % vault.reads.length;
        if (index < 0 || answered.has(index)) return;
        answered.add(index);
        how(index);
      };

      for (const step of events) {
        const before = live.current();
        let lapsed = false;
        switch (step.kind) {
          case 'time':
            await clock.advance(step.ms);
            break;
          case 'publish':
            published += 1;
            vault.publish(`v${published}`);
            if (step.spreadMs !== null) live.announced(`v${published}`, step.spreadMs);
            break;
          case 'announce again':
            live.announced(`v${Math.max(1, published - step.back)}`, 0);
            break;
          case 'watch':
            live.watched(step.isWatched);
            break;
          case 'long outage':
            vault.behaviour = httpError(503);
            vault.reads.forEach((_read, index) =>
              settleRead(index, () => vault.reads[index]?.fail(httpError(503))),
            );
            await clock.advance(1_000_000);
            // Served until its time was over, and no longer.
            expect(live.current()).toBe(undefined);
            if (live.known()) expect(live.missing().code).toBe('VALUE_STALE');
            vault.behaviour = 'hold';
            lapsed = true;
            break;
          case 'load':
            live.load().catch(() => {});
            break;
          case 'refuse': {
            const version = seen.at(-1 - step.back);
            if (version === undefined) break;
            refused.add(version);
            void live.refused(version);
            break;
          }
          case 'answer':
            settleRead(step.which, (index) =>
              vault.reads[index]?.answer(step.fresh ? `v${published}` : undefined),
            );
            break;
          case 'fail':
            settleRead(step.which, (index) => vault.reads[index]?.fail(httpError(step.status)));
            break;
        }
        await settle();
        expect(vault.inFlight).toBeLessThanOrEqual(1);
        expect(before !== undefined && live.current() === undefined && !lapsed).toBe(false);
        // Once something better is known, what was refused is gone for good.
        const moved = before !== undefined && before !== live.current() && !refused.has(before.version);
        expect(moved && refused.has(live.current()?.version ?? '')).toBe(false);
      }
      expect(seen.map(numberOf)).toEqual([...new Set(seen.map(numberOf))].toSorted((a, b) => a - b));

      // When everything answers again, the newest version arrives by the TTL alone.
      vault.behaviour = 'answer';
      live.load().catch(() => {});
      await clock.advance(600_000);
      expect(live.current()?.version).toBe(`v${published}`);
      live.close();
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 300 },
  );
});
