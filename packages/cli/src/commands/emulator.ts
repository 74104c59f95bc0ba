import { startEmulator } from '@keyturn/emulator';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';

export interface EmulatorCommandOptions {
  readonly name: string;
  readonly port: number;
  readonly data?: string;
  readonly json: boolean;
}

/** `keyturn emulator`: a local Key Vault with managed identity, until it is interrupted. */
export async function emulatorCommand(
  options: EmulatorCommandOptions,
  { out, err }: Output,
  interrupted: Promise<void>,
): Promise<number> {
  const { name, port, data, json } = options;
  const emulator = await startEmulator({
    vault: name,
    port,
    ...(data === undefined ? {} : { dataFolder: data }),
    onHint: (line) => err.write(`${line}\n`),
  });
  try {
    const { vaultUrl, identityEndpoint, identityHeader, imdsUrl, caFile, proxyUrl } = emulator;
    if (json) {
      out.write(
        `${JSON.stringify({ vaultUrl, identityEndpoint, identityHeader, imdsUrl, caFile, proxyUrl })}\n`,
      );
    } else {
      const variables = Object.entries(emulator.environment).map(
        ([key, value]) => `export ${key}='${value}'`,
      );
      out.write(`${[`# ${vaultUrl}, for processes with these variables:`, ...variables].join('\n')}\n`);
    }
    await interrupted;
    return exitCodes.done.code;
  } finally {
    await emulator.close();
  }
}
