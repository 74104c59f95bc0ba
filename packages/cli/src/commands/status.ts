import { setTimeout as sleep } from 'node:timers/promises';
import { secretList, secretStatus } from '@keyturn/rotator/api';
import type { SecretStatus } from '@keyturn/rotator';
import { openApiClient, type ApiClient, type ApiClientOptions } from '../api-client.ts';
import { listenForEvents } from '../api-events.ts';
import type { CliError } from '../cli-error.ts';
import { paint } from '../demo/styled-line.ts';
import { exitCodeFor, exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { statusTable } from '../status-table.ts';
import { isColoured, openStatusView, type StatusView } from '../status-view.ts';

export interface StatusOptions extends ApiClientOptions {
  readonly watch: boolean;
  readonly json: boolean;
}

/** `keyturn status [SECRET]`: what stands at a running rotator; with `--watch` until it is interrupted. */
export async function statusCommand(
  secret: string | undefined,
  options: StatusOptions,
  output: Output,
  interrupted: Promise<unknown>,
): Promise<number> {
  const client = await openApiClient(options);
  const read = async (): Promise<readonly SecretStatus[]> => {
    if (secret === undefined) return (await client.get('v1/secrets', secretList)).secrets;
    return [await client.get(`v1/secrets/${encodeURIComponent(secret)}`, secretStatus)];
  };
  if (options.watch) {
    const view = openStatusView(output, options);
    const ending = new AbortController();
    void interrupted.then(() => ending.abort());
    try {
      await watch({ client, read, view, signal: ending.signal });
    } finally {
      view.close();
    }
    return exitCodes.done.code;
  }
  const secrets = await read();
  const { out } = output;
  if (options.json) out.write(`${JSON.stringify(secret === undefined ? { secrets } : secrets[0])}\n`);
  else {
    const columns = out.isTTY ? out.columns || 80 : Infinity;
    for (const line of statusTable(secrets, Date.now()))
      out.write(`${paint(line, { columns, colour: isColoured(out) })}\n`);
  }
  return exitCodes.done.code;
}

/** However much happens, it is not read more often. */
const readEveryMs = 500;
/** Not everything that changes is an event of a rotation. */
const readAnywayMs = 10_000;
const reconnectMs = 1_000;
const longestPauseMs = 10_000;

interface Watching {
  readonly client: ApiClient;
  readonly read: () => Promise<readonly SecretStatus[]>;
  readonly view: StatusView;
  readonly signal: AbortSignal;
}

/** Shows what stands until it is interrupted. A rotator that goes away is waited for, once it was there. */
async function watch(at: Watching): Promise<void> {
  const { client, read, view, signal } = at;
  view.show(await read());
  for (let failures = 0; ; failures += 1) {
    let why = `The connection to ${client.url.origin} is lost.`;
    try {
      await followConnection(at, () => (failures = 0));
    } catch (error) {
      if (!mayPass(error)) throw error;
      why = (error as CliError).message;
    }
    if (signal.aborted) return;
    view.lost(`${why} Trying again.`);
    await pause(Math.min(longestPauseMs, reconnectMs * 2 ** failures), signal);
  }
}

/**
 * Reads what stands when something happens, for as long as one connection lasts. Events only say that something
 * changed: what is shown was read afterwards, so nothing is missed and many at once are one.
 */
async function followConnection(
  { client, read, view, signal }: Watching,
  connected: () => void,
): Promise<void> {
  const ending = new AbortController();
  let wake = Promise.withResolvers<void>();
  const happened = () => wake.resolve();
  const timer = setInterval(happened, readAnywayMs);
  let open = true;
  const listening = listenForEvents(client, {
    signal: AbortSignal.any([signal, ending.signal]),
    happened,
  }).finally(() => {
    open = false;
    happened();
  });
  try {
    await Promise.race([wake.promise, listening]);
    while (open) {
      wake = Promise.withResolvers<void>();
      view.show(await read());
      connected();
      await pause(readEveryMs, signal);
      if (open) await wake.promise;
    }
  } finally {
    clearInterval(timer);
    ending.abort();
    await listening;
  }
}

/** A rotator that restarts, or can't read what stands at the moment; not one that refuses. */
function mayPass(error: unknown): boolean {
  const passing: readonly number[] = [
    exitCodes.unreachable.code,
    exitCodes.journal.code,
    exitCodes.vault.code,
  ];
  return passing.includes(exitCodeFor(error));
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
