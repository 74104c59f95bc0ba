import { expect, vi } from 'vitest';
import { openSecrets, type Secrets } from '../../src/index.ts';
import { startFakeRotator, type FakeRotator } from '../fakes/fake-rotator.ts';
import { fakeVault, type FakeVault } from '../fakes/fake-vault.ts';

/** One instance of an application, with its vault and its rotator, for tests against real servers. */
export interface Scene extends AsyncDisposable {
  readonly secrets: Secrets;
  readonly vault: FakeVault;
  readonly rotator: FakeRotator;
  /** Publishes and announces. */
  publish(version: string, value: string): void;
  /** Waits until the rotator has been told this of the secret. */
  reported(state: object): Promise<void>;
}

/** The secret's name in every scene. */
export const secretName = 'orders';

export async function openScene(firstValue: string): Promise<Scene> {
  const rotator = await startFakeRotator();
  const vault = fakeVault('v1');
  vault.publish('v1', firstValue);
  const secrets = openSecrets({
    vault,
    rotator: { url: rotator.url, consumer: 'orders-api', instance: 'orders-api-1', reconnectMaxMs: 100 },
  });
  return {
    secrets,
    vault,
    rotator,
    publish(version, value) {
      vault.publish(version, value);
      rotator.announce(secretName, version);
    },
    reported: (state) => soon(() => expect(rotator.reports.at(-1)?.secrets[0]).toMatchObject(state)),
    async [Symbol.asyncDispose]() {
      await secrets.close();
      await rotator.close();
    },
  };
}

/** Waits until it holds; for what another process does. */
export async function soon(holds: () => unknown): Promise<void> {
  await vi.waitFor(holds, { timeout: 10_000, interval: 10 });
}

/** What an adapter's test knows of its server. The old credential works from the start, the new one too. */
export interface Rotated {
  /** One request, as an application makes it; it rejects when it fails. */
  request(): Promise<unknown>;
  readonly newValue: string;
  /** As the server counts them; 0 where it has no connections. */
  connectionsOfOld(): Promise<number>;
  /** From here on the old credential is refused. */
  revokeOld(): Promise<void>;
  /** Whether the server refuses a fresh login with the old credential. */
  oldIsRefused(): Promise<boolean>;
}

/**
 * The runbook's order from publish to revoke, under load: no request fails, the old version is in use until it was
 * reported as left, no connection of it is there then, and requests go on after its revocation.
 */
export async function expectUneventfulRotation(scene: Scene, rotated: Rotated): Promise<void> {
  const failures: unknown[] = [];
  let served = 0;
  let stopped = false;
  const workers = Array.from({ length: 8 }, async () => {
    while (!stopped) {
      await rotated.request().then(
        () => (served += 1),
        (error: unknown) => failures.push(error),
      );
    }
  });
  const servesMore = async (requests: number): Promise<void> => {
    const goal = served + requests;
    await soon(() => expect(served).toBeGreaterThan(goal));
  };

  await servesMore(50);
  await scene.reported({ version: 'v1', held: [] });
  scene.publish('v2', rotated.newValue);
  await scene.reported({ version: 'v2', held: [], authenticatedAt: expect.any(String) });
  await soon(async () => expect(await rotated.connectionsOfOld()).toBe(0));
  await rotated.revokeOld();
  expect(await rotated.oldIsRefused()).toBe(true);
  await servesMore(50);
  stopped = true;
  await Promise.all(workers);
  expect(failures).toEqual([]);
}
