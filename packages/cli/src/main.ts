#!/usr/bin/env node
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { demoCommand } from './commands/demo.ts';
import { emulatorCommand } from './commands/emulator.ts';
import { rotateCommand } from './commands/rotate.ts';
import { configurationJsonSchema } from './config/schema.ts';
import { exitCodeFor, exitCodes } from './exit-codes.ts';
import { explain } from './output.ts';
import { progressKinds, type ProgressKind } from './progress.ts';

process.noDeprecation = true; // those of libraries are no news to whoever rotates a secret

const output = { out: process.stdout, err: process.stderr };

/** Resolves at the first Ctrl-C or SIGTERM; a second one ends the process at once. */
const interrupted = new Promise<void>((resolve) => {
  let times = 0;
  const interrupt = () => {
    times += 1;
    if (times > 1) process.exit(exitCodes.interrupted.code);
    resolve();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
});

const program = new Command('keyturn')
  .description('Rotates secrets held in Azure Key Vault without an outage.')
  .exitOverride()
  .addHelpText('after', () => `\nExit codes:\n${exitCodeTable()}`);

program
  .command('rotate')
  .argument('<secret>', 'name of the secret in the vault')
  .description('rotate one secret, or resume the rotation of it that is open')
  .option('-c, --config <file>', 'configuration', 'keyturn.yaml')
  .option('--json', 'print the outcome as one JSON object', false)
  .addOption(
    new Option('--progress <kind>', 'how progress is shown on stderr').choices(progressKinds).default('auto'),
  )
  .action(async (secret: string, options: { config: string; json: boolean; progress: ProgressKind }) => {
    process.exitCode = await rotateCommand(secret, options, output, interrupted);
  });

program
  .command('emulator')
  .description('run a local Key Vault with managed identity')
  .option('--name <vault>', 'name of the vault', 'local')
  .option('--port <number>', 'TLS port of the vault; 0 takes a free one', toPort, 0)
  .option('--data <folder>', 'keep its certificates and signing key there')
  .option('--json', 'print where it listens as one JSON object', false)
  .action(async (options: { name: string; port: number; data?: string; json: boolean }) => {
    process.exitCode = await emulatorCommand(options, output, interrupted);
  });

program
  .command('demo')
  .description('rotate a password under load in three ways, side by side, on real servers')
  .option('--json', 'print the result as one JSON object', false)
  .option('--report <file>', 'where the HTML report is written', 'keyturn-demo.html')
  .action(async (options: { json: boolean; report: string }) => {
    process.exitCode = await demoCommand(options, output, interrupted);
  });

program
  .command('schema')
  .description('print the JSON Schema of keyturn.yaml')
  .action(() => {
    output.out.write(`${JSON.stringify(configurationJsonSchema(), null, 2)}\n`);
  });

function toPort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError('A port is 0 to 65535.');
  return port;
}

function exitCodeTable(): string {
  return Object.values(exitCodes)
    .map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`)
    .join('\n');
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.done.code : exitCodes.usage.code;
  } else {
    output.err.write(`${explain(error)}\n`);
    process.exitCode = exitCodeFor(error);
  }
}
// Nothing of the libraries below may keep a finished command alive.
process.exit();
