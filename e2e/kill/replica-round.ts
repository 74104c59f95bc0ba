import { setTimeout as sleep } from 'node:timers/promises';
import { startRedisClient } from '../redis-clients.ts';
import { startRedisSource, user } from '../redis-source.ts';
import { buildWorld, type World } from '../world.ts';
import { startClient, type LiveClient } from './clients.ts';
import { checkInvariants, type RoundFacts, type Violation } from './invariants.ts';
import { startObjector } from './objector.ts';
import { postgresUnderTest } from './postgres-under-test.ts';
import { redisUnderTest } from './redis-under-test.ts';
import { startReplicas, type Replicas } from './replicas.ts';
import type { SourceUnderTest } from './source-under-test.ts';
import { watchCurrent } from './watch-current.ts';

/** Several worlds share the machine. */
const pauseMs = 100;

/** Which of them is killed, when, and when another process takes its place. Milliseconds since the request. */
export interface ReplicaKill {
  readonly replica: number;
  readonly afterMs: number;
  readonly restartAfterMs: number;
}

/** Two secrets, one of PostgreSQL and one of Redis, and several rotators that share one journal. */
export interface ReplicatedWorld {
  readonly replicas: Replicas;
  /**
   * Rotates both at once, kills one of the rotators on the way, and checks every invariant. Where the new version of
   * PostgreSQL is `rejected`, it has to be rolled back.
   */
  playRound(at: {
    readonly kill: ReplicaKill | 'never';
    /** Which of them is asked, secret by secret. */
    readonly asked: readonly number[];
    readonly rejected?: boolean;
    /** Sabotage: the password of Redis that was ended is given back before anybody looks. */
    readonly revived?: boolean;
  }): Promise<readonly Violation[]>;
  served(): number;
  close(): Promise<void>;
}

export async function buildReplicatedWorld(count: number): Promise<ReplicatedWorld> {
  const world = await buildWorld();
  const { vault, folder, values } = world;
  const redis = await startRedisSource({ folder, vault });
  for (const password of redis.passwords) values.add(password);
  const replicas = await startReplicas(world, redis, count);
  const [here = '', there = here] = replicas.urls;
  const rotated: readonly Rotated[] = [
    {
      source: postgresUnderTest(world),
      clients: [
        await startClient(world, 'one', { url: here, pauseMs }),
        await startClient(world, 'two', { url: there, pauseMs }),
      ],
    },
    {
      source: redisUnderTest(redis),
      clients: [
        await startRedisClient({ vault, url: here, driver: 'redis', pauseMs }),
        await startRedisClient({ vault, url: there, driver: 'ioredis', pauseMs }),
      ],
    },
  ];
  const clients = rotated.flatMap((one) => one.clients);
  const revive = async (old: string) =>
    void (await redis.run('ACL', 'SETUSER', user, `>${new URL(old).password}`));
  return {
    replicas,
    async playRound({ kill, asked, rejected = false, revived = false }) {
      const killed = kill === 'never' ? undefined : disturb(replicas, kill);
      const violations = await Promise.all(
        rotated.map((one, index) =>
          rotate(
            { world, replicas, ...one },
            {
              asked: asked[index] ?? 0,
              rejected: rejected && index === 0,
              ...(revived && index === 1 ? { ended: revive } : {}),
            },
          ),
        ),
      );
      await killed;
      world.written.length = 0; // it was searched
      return violations.flat();
    },
    served: () => clients.reduce((sum, client) => sum + client.served(), 0),
    async close() {
      await Promise.all(clients.map((client) => client.close()));
      await replicas.close();
      await redis.stop();
      await world.close();
    },
  };
}

/** A secret under rotation, and who uses it. */
interface Rotated {
  readonly source: SourceUnderTest;
  readonly clients: readonly LiveClient[];
}

async function disturb(replicas: Replicas, { replica, afterMs, restartAfterMs }: ReplicaKill): Promise<void> {
  await sleep(afterMs);
  await replicas.kill(replica);
  await sleep(restartAfterMs);
  await replicas.start(replica);
}

async function rotate(
  at: Rotated & { readonly world: World; readonly replicas: Replicas },
  how: {
    readonly asked: number;
    readonly rejected: boolean;
    /** Called with the old value once the rotation has ended. */
    readonly ended?: (old: string) => Promise<void>;
  },
): Promise<readonly Violation[]> {
  const { world, replicas, source, clients } = at;
  const { asked, rejected, ended } = how;
  const { value: oldValue = '', properties } = await world.vault.getSecret(source.secret);
  const old = { version: properties.version ?? '', value: oldValue };
  for (const client of clients) client.takeFailures();
  const logBefore = await source.logLength();
  const watcher = watchCurrent(world, source, pauseMs);
  const objector = rejected ? startObjector(world, old, replicas.urls) : undefined;
  const id = `${source.secret}@${old.version}`;
  const outcome = await whenEnded(replicas, { id, asked, secret: source.secret });
  await ended?.(old.value);
  await objector?.stop();
  const { dead, values } = await watcher.stop();
  const facts: RoundFacts = {
    old,
    expected: rejected ? 'rolled back' : 'closed',
    issued: values.filter((value) => value !== old.value),
    logBefore,
    outcome,
    failures: clients.flatMap((client) => client.takeFailures()),
    deadCurrents: dead,
  };
  return checkInvariants(world, facts, source);
}

const patienceMs = 180_000;

/** Asks until somebody has heard it, and again if it fails, as a person would. */
async function whenEnded(
  replicas: Replicas,
  at: { readonly id: string; readonly asked: number; readonly secret: string },
): Promise<RoundFacts['outcome']> {
  const until = Date.now() + patienceMs;
  let next = at.asked;
  while (Date.now() < until) {
    const status = await replicas.rotation(at.id);
    if (status?.outcome) return status.outcome;
    if (status === undefined || status.state === 'failed') {
      await replicas.ask(next, at.secret).catch(() => undefined);
      next = (next + 1) % replicas.urls.length;
    }
    await sleep(200);
  }
  return undefined;
}
