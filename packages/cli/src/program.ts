import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { ApiClientOptions } from './api-client.ts';
import type { EmulatorCommandOptions, InterruptSignal } from './commands/emulator.ts';
import { exitCodeFor, exitCodes } from './exit-codes.ts';
import { explain } from './output.ts';
import { logKinds, type LogKind } from './log-kinds.ts';
import { progressKinds, type ProgressKind } from './progress.ts';

process.noDeprecation = true; // those of libraries are no news to whoever rotates a secret

// A command loads its own parts when it runs: the local vault is up before the rotator's parts would be read.
const output = { out: process.stdout, err: process.stderr };

/** Resolves at the first Ctrl-C, SIGTERM or when the terminal is closed, with which it was; a second one ends the process at once. */
const interrupted = new Promise<InterruptSignal>((resolve) => {
  let times = 0;
  const interrupt = (signal: InterruptSignal) => {
    times += 1;
    if (times > 1) process.exit(exitCodes.interrupted.code);
    resolve(signal);
  };
  process.on('SIGINT', () => interrupt('SIGINT'));
  process.on('SIGTERM', () => interrupt('SIGTERM'));
  process.on('SIGHUP', () => interrupt('SIGHUP'));
});

const program = new Command('keyturn')
  .description('Rotates secrets held in Azure Key Vault without an outage.')
  .exitOverride()
  .enablePositionalOptions()
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
    const { rotateCommand } = await import('./commands/rotate.ts');
    process.exitCode = await rotateCommand(secret, options, output, interrupted);
  });

/** What every command has that speaks to a rotator that is running. */
function atRotator(command: Command): Command {
  return command
    .option('--url <url>', 'where the rotator listens (default: http://127.0.0.1:7420)')
    .option('-c, --config <file>', 'take the address from `fleet.listen` of this configuration')
    .option('--scope <scope>', 'what a token is asked for; what the rotator names if absent')
    .option('--json', 'print the result as JSON', false);
}

atRotator(program.command('status'))
  .argument('[secret]', 'only this one')
  .description('what stands at a running rotator: versions, what is due, who is waited for')
  .option('--watch', 'go on until interrupted; each change is a line where there is no terminal', false)
  .action(
    async (secret: string | undefined, options: ApiClientOptions & { watch: boolean; json: boolean }) => {
      const { statusCommand } = await import('./commands/status.ts');
      process.exitCode = await statusCommand(secret, options, output, interrupted);
    },
  );

atRotator(program.command('history'))
  .argument('[secret]', 'only this one')
  .description('rotations, newest first: who asked for them and why, and what they came to')
  .option('--limit <number>', 'at most so many', toLimit, 20)
  .action(
    async (secret: string | undefined, options: ApiClientOptions & { limit: number; json: boolean }) => {
      const { historyCommand } = await import('./commands/history.ts');
      process.exitCode = await historyCommand(secret, options, output);
    },
  );

atRotator(program.command('request'))
  .argument('<secret>', 'name of the secret in the vault')
  .description('ask a running rotator to rotate a secret; `keyturn rotate` does it here instead')
  .requiredOption('--why <text>', 'recorded with your name')
  .option('--compromised', 'the credential is in the wrong hands: the overlap is as short as can be', false)
  .option('-y, --yes', 'with --compromised: go on without asking at a terminal', false)
  .action(
    async (
      secret: string,
      options: ApiClientOptions & { why: string; compromised: boolean; json: boolean; yes: boolean },
    ) => {
      const { requestCommand } = await import('./commands/request.ts');
      process.exitCode = await requestCommand(secret, options, output);
    },
  );

for (const [name, order, description] of [
  ['proceed', 'proceed', 'go on with a rotation that is held, without those who are waited for'],
  ['rollback', 'roll back', 'take the new version of an open rotation back'],
  ['abort', 'abort', 'end an open rotation'],
  ['approve', 'approve', 'approve a rotation that somebody else asked for'],
] as const) {
  atRotator(program.command(name))
    .argument('<id>', 'SECRET@VERSION, or the secret whose rotation is open')
    .description(description)
    .requiredOption('--why <text>', 'recorded with your name')
    .action(async (id: string, options: ApiClientOptions & { why: string; json: boolean }) => {
      const { orderCommand } = await import('./commands/order.ts');
      process.exitCode = await orderCommand(order, id, options, output);
    });
}

program
  .command('serve')
  .description('rotate what events, people and programs ask for, until it is told to stop')
  .option('-c, --config <file>', 'configuration', 'keyturn.yaml')
  .option('--json', 'print where it listens as one JSON object', false)
  .addOption(
    new Option(
      '--log <kind>',
      'how the log on stderr is written: auto is text on a terminal, else JSON lines',
    )
      .choices(logKinds)
      .default('auto'),
  )
  .action(async (options: { config: string; json: boolean; log: LogKind }) => {
    const { serveCommand } = await import('./commands/serve.ts');
    // Whatever still sleeps in the background may do so for an hour.
    process.exit(await serveCommand(options, output, interrupted));
  });

program
  .command('plan')
  .argument('[secrets...]', 'names of secrets; all that are configured if absent')
  .description('say what a rotation would meet, and change nothing')
  .option('-c, --config <file>', 'configuration', 'keyturn.yaml')
  .option('--json', 'print the plans as one JSON array', false)
  .action(async (secrets: string[], options: { config: string; json: boolean }) => {
    const { planCommand } = await import('./commands/plan.ts');
    process.exitCode = await planCommand(secrets, options, output);
  });

program
  .command('drift')
  .argument('[secrets...]', 'names of secrets; all that are configured if absent')
  .description('find credentials that nobody accounts for, and versions and slots that were changed by hand')
  .option('-c, --config <file>', 'configuration', 'keyturn.yaml')
  .option('--json', 'print what was found as one JSON array', false)
  .option('--clean', 'end the credentials that Keyturn issued and that nobody holds or uses', false)
  .action(async (secrets: string[], options: { config: string; json: boolean; clean: boolean }) => {
    const { driftCommand } = await import('./commands/drift.ts');
    process.exitCode = await driftCommand(secrets, options, output);
  });

program
  .command('emulator')
  .description('run a local Key Vault with managed identity and Event Grid')
  .argument('[command...]', 'with --exec: a command to run with the environment set')
  .option(
    '-c, --config <file>',
    'vaults, identities, subscriptions (keyturn schema emulator); one vault `local` if absent',
  )
  .option(
    '--port <number>',
    'TLS port, the next three serve identity, proxy and admin; 0 takes free ones',
    toPort,
    0,
  )
  .option('--data <folder>', 'keep everything there across restarts')
  .option('--json', 'print where it listens as one JSON object', false)
  .option('--exec', 'run the command, and end with it and its exit code', false)
  .option('--identity <name>', 'whose environment is printed or set; the default identity if absent')
  .passThroughOptions()
  .action(async (command: string[], options: Omit<EmulatorCommandOptions, 'command'>) => {
    const { emulatorCommand } = await import('./commands/emulator.ts');
    process.exitCode = await emulatorCommand({ ...options, command }, output, interrupted);
  });

program
  .command('demo')
  .description('rotate a password under load in three ways, side by side, on real servers')
  .option('--json', 'print the result as one JSON object', false)
  .option('--report <file>', 'where the HTML report is written', 'keyturn-demo.html')
  .action(async (options: { json: boolean; report: string }) => {
    const { demoCommand } = await import('./commands/demo.ts');
    process.exitCode = await demoCommand(options, output, interrupted);
  });

program
  .command('schema')
  .description("print the JSON Schema of keyturn.yaml, or of the emulator's configuration")
  .addArgument(new Argument('[file]', 'whose').choices(['rotator', 'emulator']).default('rotator'))
  .action(async (file: 'rotator' | 'emulator') => {
    const { schemaCommand } = await import('./commands/schema.ts');
    schemaCommand(file, output);
  });

function toPort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_532)
    throw new InvalidArgumentError('The first of four ports is 0 to 65532.');
  return port;
}

function toLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw new InvalidArgumentError('A number from 1 to 1000.');
  return limit;
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
