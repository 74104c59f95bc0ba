import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from '@keyturn/rotator/free-port';
import { ttlMs, type Stage } from './stage.ts';

/** An example in a process of its own, as in production: it knows nothing of the test. */
export interface Application extends AsyncDisposable {
  readonly url: string;
  /** What it wrote so far, to both outputs. */
  output(): string;
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
  /** The exit code; the signal if that ended it. */
  readonly exited: Promise<number | string>;
}

export interface ApplicationSettings {
  /** Arguments for Node: a program, and what that wants to be told. */
  readonly program: readonly URL[];
  readonly environment?: Readonly<Record<string, string>>;
}

const startWithinMs = 20_000;

/** Starts it and waits until it listens. Its way to the vault is the environment, with nothing changed in the code. */
export async function startApplication(stage: Stage, settings: ApplicationSettings): Promise<Application> {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    settings.program.map((url) => fileURLToPath(url)),
    {
      env: {
        ...process.env,
        ...stage.environment,
        HOST: '127.0.0.1',
        PORT: String(port),
        SECRETS_TTL_MS: String(ttlMs),
        ...settings.environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const listening = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        output += `${line}\n`;
        if (line.startsWith('listening')) resolve();
      });
    }
  });
  const tooLate = setTimeout(() => child.kill('SIGKILL'), startWithinMs);
  const ended = await Promise.race([listening, exited]);
  clearTimeout(tooLate);
  if (ended !== undefined) throw new Error(`The application ended with ${ended}:\n${output}`);
  return {
    url: `http://127.0.0.1:${port}`,
    output: () => output,
    signal: (name) => void child.kill(name),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
