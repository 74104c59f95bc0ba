import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { startEmulator, type Emulator, type EmulatorSettings } from '@keyturn/emulator';
import { CliError } from '../cli-error.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';

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
  interrupted: Promise<void>,
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
    if (options.exec) return await run(options.command, environment, interrupted);
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
  const { vaultUrl, identityEndpoint, identityHeader, imdsUrl, caFile, adminUrl, proxyUrl } = emulator;
  if (json) {
    const addresses = { vaultUrl, identityEndpoint, identityHeader, imdsUrl, caFile, adminUrl, proxyUrl };
    out.write(`${JSON.stringify(addresses)}\n`);
  } else if (!exec) {
    const variables = Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}`);
    out.write(`${[`# ${vaultUrl}, for processes with these variables:`, ...variables].join('\n')}\n`);
  }
}

const quoted = (value: string): string => `'${value.replaceAll("'", String.raw`'\''`)}'`;

// What `DefaultAzureCredential` and its likes would rather sign in with, or elsewhere.
const otherIdentity =
  /^(?:AZURE_(?:TENANT_ID|CLIENT_(?:ID|SECRET|CERTIFICATE_\w+)|USERNAME|PASSWORD|AUTHORITY_HOST|FEDERATED_TOKEN_FILE|POD_IDENTITY_AUTHORITY_HOST|KUBERNETES_\w+|TOKEN_CREDENTIALS)|IDENTITY_(?:ENDPOINT|HEADER|SERVER_THUMBPRINT)|IMDS_ENDPOINT|MSI_(?:ENDPOINT|SECRET))$/;
// Many programs prefer these over the ones in capitals.
const otherWay = /^(?:https_proxy|no_proxy)$/;
const pastTheEmulator = /^\*$|(?:azure\.(?:net|com)|windows\.net|microsoft(?:online)?\.com)$/i;

/** The environment of this process, led to the emulator and the identity. Other hosts that it reaches without a proxy stay so. */
function childEnvironment(own: NodeJS.ProcessEnv, environment: Environment): NodeJS.ProcessEnv {
  const kept = Object.entries(own).filter(([name]) => !otherIdentity.test(name) && !otherWay.test(name));
  const direct = [environment['NO_PROXY'], own['NO_PROXY'], own['no_proxy']]
    .flatMap((list) => list?.split(/[\s,]+/) ?? [])
    .filter((host) => host !== '' && !pastTheEmulator.test(host));
  return { ...Object.fromEntries(kept), ...environment, NO_PROXY: [...new Set(direct)].join(',') };
}

/** Runs the command as a shell would, and ends as it ends. An interrupt is handed on. */
async function run(
  [program = '', ...args]: readonly string[],
  environment: Environment,
  interrupted: Promise<void>,
): Promise<number> {
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: childEnvironment(process.env, environment),
  });
  void interrupted.then(() => child.kill('SIGTERM'));
  const failed = once(child, 'error').then(([error]: unknown[]) => {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError('USAGE', `${program} could not be run (${code}).`, {
      hint: 'Name a program that is on the PATH.',
    });
  });
  const ended = once(child, 'exit').then(
    ([code, signal]: unknown[]) => (code as number | null) ?? 128 + constants.signals[signal as 'SIGTERM'],
  );
  return Promise.race([failed, ended]);
}
