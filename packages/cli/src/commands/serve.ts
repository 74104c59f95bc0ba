import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import {
  entraAuth,
  entraTenant,
  eventGridAppId,
  localAuth,
  openService,
  systemClock,
  withinLimits,
  type Auth,
  type Target,
  type Vault,
  type WebhookAuth,
} from '@keyturn/rotator';
import { fleetAddress, openJournalDatabase, openVault } from '../config/connections.ts';
import { loadFile } from '../config/load.ts';
import { configurationFile, type Configuration } from '../config/schema.ts';
import { configuredSecrets } from '../config/secrets.ts';
import { exitCodeFor, exitCodes } from '../exit-codes.ts';
import type { LogKind } from '../log-kinds.ts';
import type { Output } from '../output.ts';
import { openServeLog, type ServeLog } from '../serve-log.ts';
import { openTracing } from '../tracing.ts';

export interface ServeOptions {
  readonly config: string;
  readonly json: boolean;
  readonly log: LogKind;
}

/**
 * `keyturn serve`: rotates what is asked for, by events and by people, until it is told to stop. Rotations that are
 * open then are resumed by the next one, or by another that shares the journal.
 */
export async function serveCommand(
  options: ServeOptions,
  { out, err }: Output,
  interrupted: Promise<string>,
): Promise<number> {
  const config = await loadFile(options.config, configurationFile);
  const log = openServeLog(options.log, { stream: err, clock: systemClock });
  try {
    await serve(config, {
      log,
      started: (listening) =>
        out.write(`${options.json ? JSON.stringify(listening) : inWords(config, listening)}\n`),
      interrupted,
    });
    return exitCodes.done.code;
  } catch (error) {
    log.failed(error); // what reads the log has to find it there
    return exitCodeFor(error);
  }
}

interface Listening {
  readonly url: string;
  readonly secrets: number;
}

async function serve(
  config: Configuration,
  at: {
    readonly log: ServeLog;
    readonly started: (listening: Listening) => void;
    readonly interrupted: Promise<string>;
  },
): Promise<void> {
  const { log, started, interrupted } = at;
  let replicas = 1;
  // Sources that read their own logins are within the limits, too.
  const vault = withinLimits(openVault(config), { clock: systemClock, replicas: () => replicas });
  const journal = await openJournalDatabase(config, vault);
  const replica = executorId(config);
  const tracing = await openTracing(process.env); // before anything asks for a tracer
  try {
    const service = await openService({
      journalUrl: journal.url,
      executorId: replica,
      vault,
      secrets: configuredSecrets(config, vault),
      fleet: fleetAddress(config),
      auth: apiAuth(config),
      ...(config.events ? { events: await webhookAuth(config.events, vault) } : {}),
      notify: targets(config, vault),
      watchEveryMs: config.watch,
      driftEveryMs: config.drift.every,
      keepMs: config.history.keep,
      counted: (live) => (replicas = live),
      report: log.record,
      tell: log.tell,
    });
    const listening = { url: service.url, secrets: Object.keys(config.secrets).length };
    log.say('started', `started as ${replica}`, { ...listening, vault: config.vault, replica });
    started(listening);
    const reason = await Promise.race([interrupted, service.failed]);
    log.say('stopping', `stopping: ${reason}`, { reason });
    await service.close();
    log.say('stopped', 'stopped; open rotations are resumed by the next one');
  } finally {
    await tracing.close();
    await journal.close();
  }
}

function inWords(config: Configuration, { url, secrets }: Listening): string {
  return `keyturn serves ${secrets} secrets of ${config.vault} at ${url}`;
}

/** The embedded database is of one rotator alone; a shared one has as many as there are processes. */
function executorId({ journal }: Configuration): string {
  return journal && !('data' in journal)
    ? `${hostname()} ${process.pid} ${randomUUID().slice(0, 8)}`
    : 'keyturn';
}

function apiAuth({ api }: Configuration): Auth {
  const { entra, instances } = api;
  if (!entra) return localAuth({ instancesFrom: instances });
  const { issuer, audience, applications } = entra;
  return entraAuth({
    issuer,
    audience,
    clock: systemClock,
    ...(applications ? { consumers: applications } : {}),
  });
}

function targets({ notify }: Configuration, vault: Vault): Target[] {
  const valueOf = async (secret: string) => (await vault.current(secret)).value;
  return Object.entries(notify).map(([name, one]) => {
    const common = {
      name,
      url: () => valueOf(one.url.secret),
      ...(one.about ? { about: one.about } : {}),
    };
    return one.format === 'webhook'
      ? { ...common, format: one.format, signingSecrets: async () => [await valueOf(one.key.secret)] }
      : { ...common, format: one.format };
  });
}

async function webhookAuth(events: NonNullable<Configuration['events']>, vault: Vault): Promise<WebhookAuth> {
  if ('key' in events) return { kind: 'key', keys: [(await vault.current(events.key.secret)).value] };
  const { tenant, audience, role } = events.entra;
  return {
    kind: 'entra',
    ...entraTenant(tenant),
    audiences: [audience],
    caller: role === undefined ? { appId: eventGridAppId } : { role },
  };
}
