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
  type RotationRecord,
  type ServiceReport,
  type Target,
  type Vault,
  type WebhookAuth,
} from '@keyturn/rotator';
import { fleetAddress, openJournalDatabase, openVault } from '../config/connections.ts';
import { loadFile } from '../config/load.ts';
import { configurationFile, type Configuration } from '../config/schema.ts';
import { configuredSecrets } from '../config/secrets.ts';
import { exitCodes } from '../exit-codes.ts';
import { explain, type Output } from '../output.ts';
import { sentence } from '../progress.ts';
import { printable } from '../printable.ts';

export interface ServeOptions {
  readonly config: string;
  readonly json: boolean;
}

/**
 * `keyturn serve`: rotates what is asked for, by events and by people, until it is told to stop. Rotations that are
 * open then are resumed by the next one, or by another that shares the journal.
 */
export async function serveCommand(
  options: ServeOptions,
  { out, err }: Output,
  interrupted: Promise<unknown>,
): Promise<number> {
  const config = await loadFile(options.config, configurationFile);
  const vault = withinLimits(openVault(config), { clock: systemClock }); // also when sources read their own logins
  const journal = await openJournalDatabase(config, vault);
  const log = (line: Readonly<Record<string, unknown>>, text: string): void =>
    void err.write(
      `${options.json ? JSON.stringify(line) : `${new Date().toISOString()}  ${printable(text)}`}\n`,
    );
  try {
    const service = await openService({
      journalUrl: journal.url,
      executorId: executorId(config),
      vault,
      secrets: configuredSecrets(config, vault),
      fleet: fleetAddress(config),
      auth: apiAuth(config),
      ...(config.events ? { events: await webhookAuth(config.events, vault) } : {}),
      notify: targets(config, vault),
      watchEveryMs: config.watch,
      report: (record: RotationRecord) => {
        if (record.kind !== 'standing')
          log({ level: 'info', ...record }, `${record.rotation}  ${sentence(record, { withClock: false })}`);
      },
      tell: (report) => log({ level: 'info', at: new Date().toISOString(), ...plain(report) }, words(report)),
    });
    out.write(
      options.json
        ? `${JSON.stringify({ url: service.url, secrets: Object.keys(config.secrets).length })}\n`
        : `keyturn serves ${Object.keys(config.secrets).length} secrets of ${config.vault} at ${service.url}\n`,
    );
    await Promise.race([interrupted, service.failed]);
    await service.close();
    return exitCodes.done.code;
  } finally {
    await journal.close();
  }
}

/** The embedded database is of one rotator alone; a shared one has as many as there are processes. */
function executorId({ journal }: Configuration): string {
  return journal && 'secret' in journal
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

/** Without the error itself, which might hold a value. */
function plain(report: ServiceReport): Readonly<Record<string, unknown>> {
  return 'error' in report ? { ...report, error: explain(report.error) } : report;
}

function words(report: ServiceReport): string {
  switch (report.kind) {
    case 'event':
      return `event: ${report.event.kind} of ${report.event.secret}: ${report.action}, because ${report.reason}`;
    case 'vault unseen':
      return `${report.secret} could not be looked at: ${explain(report.error)}`;
    case 'accepted':
      return `${report.events} events accepted, ${report.ignored} of no concern`;
    case 'refused':
      return `a delivery of events was refused (${report.status}): ${report.reason}`;
    case 'validated':
      return 'Event Grid asked whether it may deliver, and may';
    case 'subscription deleted':
      return `the Event Grid subscription ${report.subscription} was deleted: nobody tells of expiries any more`;
    case 'handled':
      return `the event ${report.event.kind} of ${report.event.secret} is done with`;
    case 'failed':
      return `the event ${report.event.kind} of ${report.event.secret} comes again in ${Math.round(report.nextInMs / 1_000)} s: ${explain(report.error)}`;
    case 'inbox unreadable':
      return `events can't be read: ${explain(report.error)}`;
    case 'notifications':
      return `notifications to ${report.report.target}: ${report.report.kind}`;
    case 'unexpected':
      return explain(report.error);
  }
}
