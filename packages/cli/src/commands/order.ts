import type { Order } from '@keyturn/rotator';
import { secretStatus } from '@keyturn/rotator/api';
import { z } from 'zod';
import { openApiClient, type ApiClient, type ApiClientOptions } from '../api-client.ts';
import { CliError } from '../cli-error.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { printable } from '../printable.ts';

export interface OrderOptions extends ApiClientOptions {
  readonly why: string;
  readonly json: boolean;
}

/** `keyturn proceed|rollback|abort|approve ID`: what a person says to an open rotation, recorded with who and why. */
export async function orderCommand(
  order: Order | 'approve',
  idOrSecret: string,
  options: OrderOptions,
  { out }: Output,
): Promise<number> {
  const client = await openApiClient(options);
  const id = idOrSecret.includes('@') ? idOrSecret : await openRotation(idOrSecret, client);
  const { why } = options;
  const path = `v1/rotations/${encodeURIComponent(id)}`;
  if (order === 'approve') await client.post(`${path}/approval`, { why }, nothing);
  else await client.post(`${path}/orders`, { order, why }, nothing);
  out.write(options.json ? `${JSON.stringify({ id, order })}\n` : `${printable(id)}: ${order} is recorded\n`);
  return exitCodes.done.code;
}

const nothing = z.undefined();

/** The rotation of a secret that is open; there is never more than one. */
async function openRotation(secret: string, client: ApiClient): Promise<string> {
  const { open } = await client.get(`v1/secrets/${encodeURIComponent(secret)}`, secretStatus);
  if (open) return open.id;
  throw new CliError('NOT_OPEN', `No rotation of ${printable(secret)} is open.`, {
    hint: `What there was: keyturn history ${printable(secret)}`,
  });
}
