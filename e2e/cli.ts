import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { roles, secretName, type World } from './world.ts';

const keyturn = fileURLToPath(new URL('../packages/cli/dist/main.js', import.meta.url));

/** What a run of `keyturn` left. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Running {
  readonly ended: Promise<Ran>;
  /** Resolves when the output so far matches. */
  says(pattern: RegExp): Promise<void>;
  interrupt(): void;
  /** Ends it as a power cut would. */
  kill(): void;
}

/** Starts `keyturn` as a person would, with the environment that leads to the local vault. */
export function startCli(
  world: Pick<World, 'emulator' | 'written'>,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Running {
  const child = spawn(process.execPath, [keyturn, ...args], {
    env: { ...process.env, ...world.emulator.environment, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const ended = once(child, 'close').then(([code]: unknown[]) => {
    world.written.push(out, err);
    return { code: code as number | null, out, err };
  });
  return {
    ended,
    interrupt: () => void child.kill('SIGINT'),
    kill: () => void child.kill('SIGKILL'),
    async says(pattern) {
      while (!pattern.test(out + err)) {
        const over = await Promise.race([
          once(child.stderr, 'data').then(() => false),
          once(child.stdout, 'data').then(() => false),
          ended.then(() => true),
        ]);
        if (over && !pattern.test(out + err))
          throw new Error(`It ended without saying ${pattern.source}: ${err}`);
      }
    },
  };
}

export function runCli(world: Pick<World, 'emulator' | 'written'>, args: readonly string[]): Promise<Ran> {
  return startCli(world, args).ended;
}

/** Writes a configuration for the world's secret; `change` edits its text. */
export async function writeConfiguration(
  world: World,
  settings: { readonly instances: number; readonly deadline?: string },
  change: (text: string) => string = (text) => text,
): Promise<string> {
  const { source, vaultUrl, fleetPort } = world.orders;
  const file = join(world.folder, 'keyturn.yaml');
  const text = `vault: ${vaultUrl}
journal: { secret: keyturn-journal }
fleet: { listen: "127.0.0.1:${fleetPort}", lease: 3s, heartbeat: 500ms }
secrets:
  ${secretName}:
    source:
      kind: postgres
      host: ${source.host}
      port: ${source.port}
      database: ${source.database}
      owner: ${source.owner}
      roles: [${roles.join(', ')}]
      admin: { secret: ${source.adminSecret} }
      probe: select id from orders limit 1
    consumers:
      orders-api: { ttl: 300ms, instances: ${settings.instances} }
    clockSkew: 0s
    poll: 50ms
    requestTimeout: 2s
    retryFor: 3s
    deadline: ${settings.deadline ?? '60s'}
`;
  await writeFile(file, change(text));
  return file;
}
