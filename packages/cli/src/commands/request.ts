import { foreseen, rotationStatus } from '@keyturn/rotator/api';
import { openApiClient, type ApiClient, type ApiClientOptions } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { confirm, isTerminal, type Terminal } from '../confirm.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { printable } from '../printable.ts';

export interface RequestOptions extends ApiClientOptions {
  readonly why: string;
  readonly compromised: boolean;
  readonly json: boolean;
  /** Nobody is asked whether to go on. */
  readonly yes: boolean;
}

/**
 * `keyturn request SECRET`: asks a running rotator for a rotation, and doesn't wait for it. In an emergency it says
 * before what is going to break, and asks a person at a terminal whether to go on.
 */
export async function requestCommand(
  secret: string,
  options: RequestOptions,
  { out, err }: Output,
  input: Terminal['input'] = process.stdin,
): Promise<number> {
  const client = await openApiClient(options);
  const { why, compromised } = options;
  if (compromised) {
    err.write(await whatBreaks(client, secret));
    const terminal = { input, output: err };
    const goOn = options.yes || !isTerminal(terminal) || (await confirm('Go on?', terminal));
    if (!goOn) {
      err.write('Nothing was asked for.\n');
      return exitCodes.notStarted.code;
    }
  }
  const started = await client.post('v1/rotations', { secret, why, compromised }, rotationStatus);
  if (options.json) {
    out.write(`${JSON.stringify(started)}\n`);
    return exitCodes.done.code;
  }
  const { id, state, requested } = started;
  // Whoever joins a rotation that was open already sees here who asked for it.
  out.write(printable(`${id}: ${state}, requested by ${requested.who}: ${requested.why}`) + '\n');
  return exitCodes.done.code;
}

/** In lines. That it can't be had is said, and stops nobody: the request itself shows what is wrong. */
async function whatBreaks(client: ApiClient, secret: string): Promise<string> {
  const name = printable(secret);
  try {
    const path = `v1/secrets/${encodeURIComponent(secret)}/emergency`;
    const { breaks, notChecked, joins } = await client.get(path, foreseen);
    const lines = [
      ...(joins === undefined ? [] : [`${joins} is open: it is joined as it is, and becomes no emergency`]),
      breaks.length === 0
        ? `${name}: ending its credential at once breaks nothing that is known`
        : `${name}: ending its credential at once breaks`,
      ...breaks.map((one) => `  ${one}`),
      ...notChecked.map((one) => `  not checked: ${one}`),
    ];
    return lines.map((line) => `${printable(line)}\n`).join('');
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return `${name}: what ending its credential at once breaks is not known: ${error.message}\n`;
  }
}
