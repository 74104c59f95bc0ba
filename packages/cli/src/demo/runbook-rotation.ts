import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Outcome, RotationRecord } from '@keyturn/rotator';
import { CliError } from '../cli-error.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Stage } from './stage.ts';

const keyturn = fileURLToPath(new URL('../main.js', import.meta.url));

/** A `keyturn rotate` in a process of its own, just as an operator would start it. */
export interface RunbookRotation {
  readonly outcome: Promise<Outcome>;
  /** Asks it to stop, as Ctrl-C would, and waits until it has. */
  stop(): Promise<void>;
}

export function startRunbookRotation(
  stage: Stage,
  secret: string,
  report: (record: RotationRecord) => void,
): RunbookRotation {
  const child = spawn(
    process.execPath,
    [keyturn, 'rotate', secret, '--config', stage.configFile, '--json', '--progress', 'json'],
    { env: { ...process.env, ...stage.environment }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const exited = once(child, 'exit');
  const complaints: string[] = [];
  let result = '';
  child.stdout.on('data', (chunk: Buffer) => (result += chunk.toString()));
  const log = createWriteStream(join(stage.folder, 'rotate.log'));
  child.stderr.pipe(log);
  createInterface(child.stderr).on('line', (line) => {
    if (line.startsWith('{')) report(JSON.parse(line) as RotationRecord);
    else complaints.push(line);
  });
  const outcome = exited.then(([code]: unknown[]) => {
    if (code === exitCodes.done.code) return JSON.parse(result) as Outcome;
    throw new CliError(
      'DEMO',
      `The rotation by the runbook ended with exit code ${String(code)}: ${complaints.join(' ')}`,
      { hint: 'Run the demo again; if it ends like this on an idle machine, it is a bug: please report it.' },
    );
  });
  outcome.catch(() => undefined); // whoever awaits it is told; until then it is no unhandled one
  return {
    outcome,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
      await exited;
    },
  };
}
