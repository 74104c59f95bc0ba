import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { startEmulator, type Emulator, type EmulatorSettings } from '@keyturn/emulator';
import { CliError } from '../cli-error.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';

export type InterruptSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

export interface EmulatorCommandOptions {
  readonly config?: string;
  readonly port: number;
  readonly data?: string;
  readonly json: boolean;
  readonly exec: boolean;
  readonly identity?: string;
  readonly command: readonly string[];
}

/** `keyturn emulator`: a local Key Vault, until it is interrupted or the command it runs ends. */
export async function emulatorCommand(
  options: EmulatorCommandOptions,
  output: Output,
  interrupted: Promise<InterruptSignal>,
): Promise<number> {
  if (options.exec !== Boolean(options.command[0]))
    throw new CliError('USAGE', `--exec and a command go together.`, {
      hint: 'keyturn emulator --exec node app.js',
    });
  const { config, port, data } = options;
  const settings = config === undefined ? {} : await loadEmulatorFile(config);
  const emulator = await startEmulator({
    ...settings,
    port,
    ...(data === undefined ? {} : { dataFolder: data }),
    onHint: (line) => output.err.write(`keyturn emulator: ${line}\n`),
  });
  try {
    const environment = await environmentFor(emulator, options.identity);
    announce(emulator, environment, options, output);
    if (options.exec)
      return await run(
        options.command,
        { ...baseEnvironment(emulator, output), ...environment, NO_PROXY: direct(environment['NO_PROXY']) },
        interrupted,
      );
    await interrupted;
    return exitCodes.done.code;
  } finally {
    await emulator.close();
  }
}

/** Read only when there is one: without, the emulator is up a tenth of a second earlier. */
async function loadEmulatorFile(file: string): Promise<EmulatorSettings> {
  const { emulatorFile } = await import('../config/emulator.ts');
  const { loadFile } = await import('../config/load.ts');
  return loadFile(file, emulatorFile);
}

/** An identity that trusts a service account is acted as in that way. */
async function environmentFor(emulator: Emulator, name: string | undefined): Promise<Environment> {
  if (name === undefined) return emulator.environment;
  const identity = emulator.identities.get(name);
  return identity.federatedSubject === undefined ? identity.environment : identity.workloadEnvironment();
}

type Environment = Emulator['environment'];

function announce(
  emulator: Emulator,
  environment: Environment,
  { json, exec }: EmulatorCommandOptions,
  { out }: Output,
): void {
  const { vaultUrl, directUrl, identityEndpoint, identityHeader, imdsUrl, caFile, adminUrl, proxyUrl } =
    emulator;
  if (json) {
    const identity = { identityEndpoint, identityHeader, imdsUrl };
    const addresses = { vaultUrl, directUrl, ...identity, caFile, adminUrl, proxyUrl };
    out.write(`${JSON.stringify(addresses)}\n`);
  } else if (!exec) {
    const variables = Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}`);
    out.write(`${[`# ${vaultUrl}, for processes with these variables:`, ...variables].join('\n')}\n`);
  }
}

const quoted = (value: string): string => `'${value.replaceAll("'", String.raw`'\''`)}'`;

/**
 * Runs the command as a shell would, and ends as it ends. An interrupt is handed on as what it was; a terminal has
 * told the command of a Ctrl-C itself, and a second word would cut its cleaning up short.
 */
async function run(
  [program = '', ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  interrupted: Promise<InterruptSignal>,
): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env });
  const told = (signal: InterruptSignal): boolean => signal === 'SIGINT' && process.stdin.isTTY;
  void interrupted.then((signal) => told(signal) || child.kill(signal));
  const failed = once(child, 'error').then(([error]: unknown[]) => {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError('USAGE', `${program} could not be run (${code}).`, {
      hint:
        code === 'EACCES'
          ? `It may not be executed. Name the program that runs it: node ${program}.`
          : 'Name a program that is on the PATH.',
    });
  });
  const ended = once(child, 'exit').then(
    ([code, signal]: unknown[]) => (code as number | null) ?? 128 + constants.signals[signal as 'SIGTERM'],
  );
  return Promise.race([failed, ended]);
}

// What names another credential, another way out or other trust. Libraries prefer some of it to what the emulator sets.
const otherCredential =
  /^(?:AZURE_(?:TENANT_ID|CLIENT_SECRET|CLIENT_CERTIFICATE_\w+|USERNAME|PASSWORD|FEDERATED_TOKEN_FILE|AUTHORITY_HOST|POD_IDENTITY_AUTHORITY_HOST|TOKEN_CREDENTIALS)|MSI_(?:ENDPOINT|SECRET)|IMDS_ENDPOINT|IDENTITY_SERVER_THUMBPRINT)$/;
const otherNetwork = /^(?:(?:https|all|no)_proxy|ALL_PROXY|CURL_CA_BUNDLE|SSL_CERT_DIR)$/;

/** This process's environment without what would lead the command elsewhere. The client id of a known identity stays. */
function baseEnvironment({ identities }: Emulator, { err }: Output): NodeJS.ProcessEnv {
  const clientIds = identities.list().map(({ clientId }) => clientId);
  const otherClient = (name: string, value = ''): boolean =>
    name === 'AZURE_CLIENT_ID' && !clientIds.includes(value.toLowerCase());
  const entries = Object.entries(process.env);
  const dropped = entries
    .filter(([name, value]) => otherCredential.test(name) || otherClient(name, value))
    .map(([name]) => name);
  if (dropped.length > 0)
    err.write(
      `keyturn emulator: the command is not given ${dropped.join(', ')}, so that it acts as an identity of the emulator.\n`,
    );
  return Object.fromEntries(entries.filter(([name]) => !dropped.includes(name) && !otherNetwork.test(name)));
}

const pastTheEmulator = /^\*$|(?:azure\.(?:net|com)|windows\.net|microsoft(?:online)?\.com)$/i;

/** Hosts that this process reaches without a proxy stay so, unless the emulator stands in for them. */
function direct(ours = ''): string {
  const hosts = [ours, process.env['NO_PROXY'], process.env['no_proxy']]
    .flatMap((list) => list?.split(/[\s,]+/) ?? [])
    .filter((host) => host !== '' && !pastTheEmulator.test(host));
  return [...new Set(hosts)].join(',');
}
