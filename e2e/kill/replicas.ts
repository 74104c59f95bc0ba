import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RotationStatus } from '@keyturn/rotator';
import { freePort } from '@keyturn/rotator/free-port';
import { startCli, writeConfiguration, type Running } from '../cli.ts';
import type { RedisSource } from '../redis-source.ts';
import type { World } from '../world.ts';

/** `keyturn serve`, several times on one journal, each of which may die at any time. */
export interface Replicas {
  readonly urls: readonly string[];
  /** How many rotations one of them has taken over from another, as they said by the time they ended. */
  takeovers(): number;
  /** Resolves when it serves again. */
  start(number: number): Promise<void>;
  kill(number: number): Promise<void>;
  ask(number: number, secret: string): Promise<void>;
  /** What is known of a rotation, at whichever of them answers. */
  rotation(id: string): Promise<RotationStatus | undefined>;
  close(): Promise<void>;
}

export async function startReplicas(world: World, redis: RedisSource, count: number): Promise<Replicas> {
  const files: string[] = [];
  const urls: string[] = [];
  const running: (Running | undefined)[] = [];
  let takeovers = 0;

  for (let number = 0; number < count; number += 1) {
    const port = number === 0 ? world.orders.fleetPort : await freePort();
    files.push(await configure(world, redis, { number, port }));
    urls.push(`http://127.0.0.1:${port}`);
  }

  /** One that gives up, as it may when the machine is busy, is started again, as whatever looks after it would. */
  async function start(number: number, attemptsLeft = 5): Promise<void> {
    const started = startCli(world, ['serve', '--config', files[number] ?? '']);
    void started.ended.then(({ err }) => (takeovers += err.split('"event":"taken over"').length - 1));
    running[number] = started;
    await started.says(/keyturn serves/).catch(async (error: unknown) => {
      if (attemptsLeft === 0) throw error;
      await start(number, attemptsLeft - 1);
    });
  }

  async function end(number: number, how: 'kill' | 'interrupt'): Promise<void> {
    const process = running[number];
    running[number] = undefined;
    process?.[how]();
    await process?.ended;
  }

  process.once('exit', () => running.forEach((one) => one?.kill())); // whatever ends this ends them
  for (const number of urls.keys()) await start(number);
  return {
    urls,
    takeovers: () => takeovers,
    start: (number) => start(number),
    kill: (number) => end(number, 'kill'),
    async ask(number, secret) {
      await call(`${urls[number]}/v1/rotations`, { secret, why: 'a round' });
    },
    async rotation(id) {
      for (const url of urls) {
        const found = await call(`${url}/v1/rotations/${encodeURIComponent(id)}`).catch(() => undefined);
        if (found) return found as RotationStatus;
      }
      return undefined;
    },
    async close() {
      await Promise.all(urls.map((_url, number) => end(number, 'interrupt')));
    },
  };
}

async function configure(
  world: World,
  redis: RedisSource,
  { number, port }: { readonly number: number; readonly port: number },
): Promise<string> {
  const first = await writeConfiguration(world, { instances: 2 });
  const postgres = await readFile(first, 'utf8');
  const usual = postgres.slice(postgres.indexOf('    consumers:'));
  const text = `${postgres}${redis.configuration}${usual}`
    .replaceAll('retryFor: 3s', 'retryFor: 20s')
    .replaceAll('requestTimeout: 2s', 'requestTimeout: 5s')
    .replace(/listen: "[^"]*"/, `listen: "127.0.0.1:${port}"`);
  const file = join(world.folder, `replica-${number}.yaml`);
  await writeFile(file, text);
  return file;
}

async function call(url: string, body?: object): Promise<unknown> {
  const response = await fetch(url, {
    ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}),
    headers: { 'content-type': 'application/json', 'x-keyturn-user': 'ann' },
    signal: AbortSignal.timeout(5_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}
