import { rotationStatus } from '@keyturn/rotator/api';
import { openApiClient, type ApiClientOptions } from '../api-client.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { printable } from '../printable.ts';

export interface RequestOptions extends ApiClientOptions {
  readonly why: string;
  readonly compromised: boolean;
  readonly json: boolean;
}

/** `keyturn request SECRET`: asks a running rotator for a rotation, and doesn't wait for it. */
export async function requestCommand(
  secret: string,
  options: RequestOptions,
  { out }: Output,
): Promise<number> {
  const client = await openApiClient(options);
  const { why, compromised } = options;
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
