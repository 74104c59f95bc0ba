import { describe, expect, test } from 'vitest';
import { startApplication } from '../application.ts';
import { startLoad, type Load } from '../load.ts';
import { openStage, type Rotated, type Stage } from '../stage.ts';

type File = `${'environment' | 'ttl-cache'}/${'before' | 'after'}.ts`;

/** The same load for all of them. */
async function underLoad<Result>(
  file: File,
  action: (stage: Stage, load: Load) => Promise<Result>,
): Promise<Result> {
  await using stage = await openStage();
  await using app = await startApplication(stage, {
    program: [new URL(file, import.meta.url)],
    environment: { ORDERS_DB: stage.current.url }, // what a deployment would put there
  });
  const load = startLoad(`${app.url}/orders`);
  const probes = startProbes(`${app.url}/health`);
  try {
    await load.serves(50);
    return await action(stage, load);
  } finally {
    probes.stop();
    await load.stop();
  }
}

/** What a load balancer does, whatever the answers are. */
function startProbes(url: string): { stop(): void } {
  const probe = (): void => void fetch(url).then((response) => response.text(), String);
  const timer = setInterval(probe, 100);
  return { stop: () => clearInterval(timer) };
}

interface Seen {
  readonly rotated: Rotated;
  readonly failures: readonly string[];
  /** Whether it serves when the rotation is over. */
  readonly servesAfterwards: boolean;
}

/** The same rotation for all of them. */
function rotateUnderLoad(file: File): Promise<Seen> {
  return underLoad(file, async (stage, load) => {
    const rotated = await stage.rotate();
    await load.nextAnswers();
    const { served } = load;
    await load.nextAnswers();
    return { rotated, failures: load.failures, servesAfterwards: load.served > served };
  });
}

const uneventful: Seen = {
  rotated: { drained: true, oldAnswer: '28000' },
  failures: [],
  servesAfterwards: true,
};

function loseVaultUnderLoad(file: File): Promise<readonly string[]> {
  return underLoad(file, async (stage, load) => {
    await stage.withoutVault(() => load.nextAnswers());
    return load.failures;
  });
}

describe('a login from the environment', () => {
  test('before: it never leaves the old role, and every request fails from its revocation on', async () => {
    const { rotated, failures, servesAfterwards } = await rotateUnderLoad('environment/before.ts');
    expect(rotated).toEqual({ drained: false, oldAnswer: '28000' });
    expect(failures.length).toBeGreaterThan(0);
    expect(servesAfterwards).toBe(false);
  });

  test('after: a rotation fails no request', async () => {
    expect(await rotateUnderLoad('environment/after.ts')).toEqual(uneventful);
  });
});

describe('a cache with a TTL', () => {
  test('before: the requests that wait for a connection when the pool is replaced fail', async () => {
    const { failures, ...seen } = await rotateUnderLoad('ttl-cache/before.ts');
    expect(seen).toEqual({ rotated: uneventful.rotated, servesAfterwards: true });
    expect(failures.length).toBeGreaterThan(0);
  });

  test('after: a rotation fails no request', async () => {
    expect(await rotateUnderLoad('ttl-cache/after.ts')).toEqual(uneventful);
  });

  test('before: requests fail while the vault is away for longer than the TTL', async () => {
    expect((await loseVaultUnderLoad('ttl-cache/before.ts')).length).toBeGreaterThan(0);
  });

  test('after: none does', async () => {
    expect(await loseVaultUnderLoad('ttl-cache/after.ts')).toEqual([]);
  });
});
