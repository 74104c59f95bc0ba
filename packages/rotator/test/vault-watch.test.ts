import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Announcements } from '../src/fleet/announcements.ts';
import { RotatorError } from '../src/rotator-error.ts';
import { watchVault, type VaultWatch } from '../src/triggers/vault-watch.ts';
import { openWorld } from './fakes/world.ts';

const everyMs = 60_000;
let watch: VaultWatch | undefined;
afterEach(() => watch?.stop());

/** Announcements in memory, as they stand in the database. */
function board() {
  let last: { version: string; id: number } | undefined;
  const told: string[] = [];
  const announcements: Pick<Announcements, 'announce' | 'standing'> = {
    standing: () => last,
    async announce({ version }, { onlyAfter } = { onlyAfter: -1 }) {
      if (version === last?.version || ![-1, last?.id ?? 0].includes(onlyAfter)) return;
      last = { version, id: (last?.id ?? 0) + 1 };
      told.push(version);
    },
  };
  return { announcements: announcements as Announcements, told };
}

function openWatch() {
  const world = openWorld();
  const { announcements, told } = board();
  const changed: string[] = [];
  const failures: unknown[] = [];
  // Time stands still unless a test lets it go on: what it looks at comes by `look`.
  let now = world.clock.now();
  watch = watchVault({
    vault: world.vault.port,
    secrets: ['orders-db'],
    everyMs,
    announcements,
    spreadMs: () => 0,
    clock: { now: () => now, sleep: () => new Promise(() => undefined) },
    changed: (_secret, { version }) => changed.push(version),
    failed: (_secret, error) => failures.push(error),
  });
  return { world, watch, announcements, told, changed, failures, pass: (ms: number) => (now += ms) };
}

describe('watching the vault', () => {
  it('announces a version whoever has published it, once', async () => {
    const { world, watch: watching, told, changed } = openWatch();
    await vi.waitFor(() => expect(told).toEqual(['v1']));
    world.vault.set(world.source.setByHand('a', 'a'));
    await watching.look('orders-db');
    await watching.look('orders-db');
    expect(told).toEqual(['v1', 'v2']);
    expect(changed).toEqual(['v1', 'v2']);
  });

  it('never announces a version that it read before a younger one was announced', async () => {
    const { world, watch: watching, announcements, told } = openWatch();
    await vi.waitFor(() => expect(told).toEqual(['v1']));
    world.vault.set(world.source.setByHand('a', 'a'));
    const late = world.vault.port.current;
    const slow = Promise.withResolvers<void>();
    world.vault.port.current = async (secret) => {
      const read = await late(secret);
      await slow.promise;
      return read;
    };
    const looking = watching.look('orders-db'); // has read v2
    await announcements.announce({ secret: 'orders-db', version: 'v3', spreadMs: 0 });
    slow.resolve();
    await looking;
    expect(told).toEqual(['v1', 'v3']);
  });

  it('says that a secret is not watched that it could not see for a while', async () => {
    const { world, watch: watching, pass } = openWatch();
    await vi.waitFor(() => expect(watching.isWatched('orders-db')).toBe(true));
    world.vault.port.current = () => Promise.reject(new RotatorError('VAULT_UNREACHABLE', 'No answer.'));
    pass(3 * everyMs);
    await expect(watching.look('orders-db')).rejects.toThrow('No answer.');
    expect(watching.isWatched('orders-db')).toBe(true);
    pass(1);
    expect(watching.isWatched('orders-db')).toBe(false);
    expect(watching.seen('orders-db')?.version).toBe('v1');
  });

  it('keeps no value', async () => {
    const { world, watch: watching } = openWatch();
    await watching.look('orders-db');
    expect(JSON.stringify(watching.seen('orders-db'))).not.toContain('value');
    expect(world.oldValue.equals(world.vault.newest().value)).toBe(true);
  });
});
