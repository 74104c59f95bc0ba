import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CliError } from '../cli-error.ts';

/** A running instance of an application. */
export interface RunningInstance {
  readonly name: string;
  /** Sends one request; true if it was served. */
  request(): Promise<boolean>;
  stop(): Promise<void>;
}

const application = fileURLToPath(new URL('application.js', import.meta.url));
const requestTimeoutMs = 5_000;

/** Starts an application process; its settings go through the environment, as they would in production. */
export async function startInstance(
  name: string,
  settings: Readonly<Record<string, string>>,
): Promise<RunningInstance> {
  const child = spawn(process.execPath, [application], {
    env: { ...process.env, ...settings, INSTANCE: name },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-2_000)));
  const exited = once(child, 'exit');
  const firstLine = once(createInterface(child.stdout), 'line').then(([line]: unknown[]) => Number(line));
  const port = await Promise.race([firstLine, exited.then(() => undefined)]);
  if (port === undefined) {
    throw new CliError(
      'DEMO',
      `The application ${name} did not start: ${complaints.trim().split('\n').at(-1) ?? ''}`,
      { hint: 'See that this machine has memory and processes left, and run the demo again.' },
    );
  }
  return {
    name,
    async request() {
      try {
        const response = await fetch(`http://127.0.0.1:${port}/orders`, {
          signal: AbortSignal.timeout(requestTimeoutMs),
        });
        await response.body?.cancel();
        return response.ok;
      } catch {
        return false;
      }
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      await exited;
    },
  };
}
