import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { createAdmin } from './admin/admin.ts';
import { inMemory, openChangeLog, type ChangeLog } from './change-log.ts';
import { createClock, type EmulatorClock, type RunningClock } from './clock.ts';
import { openEventGrid, type Subscriptions } from './events/event-grid.ts';
import { openApplications } from './graph/applications.ts';
import { createGraph, graphHost } from './graph/graph.ts';
import { createAccess, type TokenSource } from './identity/access.ts';
import { createEntra, entraHosts } from './identity/entra.ts';
import { createFederation } from './identity/federation.ts';
import { derivedId, openDirectory } from './identity/directory.ts';
import { appServicePath, createManagedIdentity, identityHeaders } from './identity/managed-identity.ts';
import { createIdentities, type Identities } from './identity/identities.ts';
import { createTokens } from './identity/tokens.ts';
import { openKeyMaterial, passingKeyMaterial } from './key-material.ts';
import { createServerCertificate } from './network/certificates.ts';
import { createConnectProxy } from './network/connect-proxy.ts';
import { listen } from './network/listener.ts';
import { createSites, siteAt } from './network/sites.ts';
import { createTlsServer } from './network/tls-server.ts';
import { readOptions, type CheckedOptions, type EmulatorOptions } from './options.ts';
import { openStorage } from './storage/storage.ts';
import { openAuditTrail, type Audit } from './vault/audit-trail.ts';
import { createBackupBlobs } from './vault/backup-blob.ts';
import { createFaults, type Faults } from './vault/faults.ts';
import { openVaults, vaultResourceId, vaultUrlOf } from './vault/vaults.ts';

/** Where a running emulator is reached. Everything listens on 127.0.0.1 only. */
export interface EmulatorAddresses {
  /** `https://NAME.vault.azure.net` of the first vault, as on Azure; reached through `proxyUrl` or with `clientOptions`. */
  readonly vaultUrl: string;
  /** Where App Service would let a process ask for tokens (`IDENTITY_ENDPOINT`). */
  readonly identityEndpoint: string;
  /** The secret header value for it (`IDENTITY_HEADER`), of the default identity. */
  readonly identityHeader: string;
  /** A stand-in for a virtual machine's metadata service (`AZURE_POD_IDENTITY_AUTHORITY_HOST`). */
  readonly imdsUrl: string;
  /** The CA's certificate, PEM (`NODE_EXTRA_CA_CERTS`). */
  readonly caFile: string;
  /** What a library user does with `clock`, `faults`, `identities`, `subscriptions` and `audit`, over HTTP. */
  readonly adminUrl: string;
  /** A CONNECT proxy that leads to the emulator and nowhere else (`HTTPS_PROXY`). */
  readonly proxyUrl: string;
}

/** A running vault with a managed identity. */
export interface Emulator extends EmulatorAddresses, AsyncDisposable {
  /** `https://localhost:PORT`: the first vault, for curl with `--cacert`. */
  readonly directUrl: string;
  /** The public key that tokens are signed with, as a JSON Web Key Set. */
  readonly keysUrl: string;
  /** The CA certificate, PEM. */
  readonly ca: string;
  /**
   * What a child process needs so that unmodified code finds the vault and acts as the default identity: the
   * first one that is assigned by the system, or the first one.
   */
  readonly environment: Readonly<Record<string, string>>;
  /** Options for a `SecretClient` in this very process, where `NODE_EXTRA_CA_CERTS` comes too late. */
  readonly clientOptions: { readonly agent: Agent };
  /** The default identity as a token credential for this very process. */
  readonly credential: TokenSource;
  readonly clock: EmulatorClock;
  readonly faults: Faults;
  readonly identities: Identities;
  readonly subscriptions: Subscriptions;
  readonly audit: Audit;
  /** Cuts every connection and removes the temporary folder. Closing twice is closing once. */
  close(): Promise<void>;
}

// Fixed, so that what a client remembers about it stays true after a restart.
const tenantId = '0d1c2b3a-4e5f-4a6b-8c7d-9e0f1a2b3c4d';

/**
 * Starts a key vault on this machine that the unmodified `@azure/keyvault-secrets` and `@azure/identity` work
 * with, through TLS.
 *
 * @throws EmulatorError `OPTIONS_INVALID`, `DATA_FOLDER_UNUSABLE`, `LISTEN_FAILED`, or `REQUEST_REFUSED` when an
 *   initial secret is one that a vault wouldn't take.
 *
 * @example
 * ```ts
 * const vault = await startEmulator({
 *   vaults: [{ name: 'orders', secrets: [{ name: 'orders-db', value: 'postgres://…' }] }],
 * });
 *
 * // in this process
 * const client = new SecretClient(vault.vaultUrl, vault.credential, vault.clientOptions);
 * console.log((await client.getSecret('orders-db')).properties.version);
 *
 * // in another process, with code that knows nothing of the emulator
 * spawn('node', ['app.js'], { env: { ...process.env, ...vault.environment } });
 *
 * await vault.close();
 * ```
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const checked = readOptions(options);
  const undo: Undo = [];
  const close = once(async () => {
    const failures: unknown[] = [];
    for (const step of undo.splice(0).toReversed()) {
      try {
        await step();
      } catch (error) {
        failures.push(error); // the other steps come all the same
      }
    }
    if (failures.length > 0) throw failures[0];
  });
  try {
    return await start(checked, undo, close);
  } catch (error) {
    await close();
    throw error;
  }
}

// Event Grid's own application, which signs in at protected endpoints; the same on all of Azure.
const eventGridRole = 'AzureEventGridSecureWebhookSubscriber';
const eventGridCaller = {
  clientId: '4962773b-9cdb-44cf-a8bf-237846a00ab7',
  objectId: derivedId('event grid'),
};

/** What closing has to do, in reverse order. */
type Undo = (() => unknown)[];

async function start(options: CheckedOptions, undo: Undo, close: () => Promise<void>): Promise<Emulator> {
  const { onHint } = options;
  const log = openLog(options.dataFolder, undo);
  const folder = options.dataFolder ?? (await temporaryFolder(undo));
  const keys = await (options.dataFolder === undefined
    ? passingKeyMaterial(folder)
    : openKeyMaterial(folder));
  const clock = openClock(log, options.startAt, undo);
  const realNow = (): Date => new Date();
  const closing = new AbortController();

  const directory = openDirectory(log);
  for (const identity of options.identities) directory.configure(identity);
  // One of this start's: those that a data folder keeps from former starts act when they are asked for.
  const [firstIdentity] = options.identities;
  const defaultName = (options.identities.find(({ systemAssigned }) => systemAssigned) ?? firstIdentity)
    ?.name;
  if (defaultName === undefined) throw new Error('The options have an identity.');
  const tokens = await createTokens({ signingKey: keys.signingKey, tenantId, now: realNow });
  const federation = await createFederation({ signingKey: keys.signingKey, now: realNow });
  const applications = openApplications({ log, settings: options.applications, now: clock.now });
  const entra = createEntra({ tenantId, tokens, directory, applications, federation, now: realNow });
  const headerOf = identityHeaders(keys.signingKey);

  const open = async (server: Server, offset: number): Promise<number> => {
    const port = options.port === 0 ? 0 : options.port + offset;
    const listener = await listen(server, port);
    undo.push(() => listener.close());
    return listener.port;
  };

  const identityApp = new Hono();
  const identityUrl = `http://127.0.0.1:${await open(httpServer(identityApp), 1)}`;
  const events = openEventGrid({
    clock,
    log,
    topicOf: vaultResourceId,
    tokenFor: async (audience) =>
      (await tokens.issue(eventGridCaller, audience, { claims: { roles: [eventGridRole] } })).token,
    callbackUrl: `${identityUrl}/events`,
    nearExpiryDelayMs: options.nearExpiryDelayMs,
    onHint,
  });
  undo.push(() => events.close());
  identityApp.mount('/events', events.fetch);
  identityApp.route('/', createManagedIdentity({ tokens, directory, headerOf, defaultName }));
  identityApp.mount('/', entra.fetch); // with its own way to answer errors

  const faults = createFaults();
  const audit = openAuditTrail({ folder: options.dataFolder, also: options.log, onHint });
  undo.push(() => audit.close());
  const vaults = openVaults({
    ...options,
    log,
    now: clock.now,
    tenantId,
    issuer: `https://sts.windows.net/${tenantId}/`,
    directory,
    authenticate: tokens.verify,
    backups: createBackupBlobs(keys.signingKey),
    faults,
    audit: audit.add,
    events,
    closing: closing.signal,
  });
  const storage = await openStorage({
    settings: options.storageAccounts,
    log,
    now: clock.now,
    tokens,
    directory,
    tenantId,
    dataFolder: options.dataFolder,
  });
  undo.push(() => storage.close());
  const graph = createGraph({ applications, tokens, directory, now: clock.now });
  log.compact();

  const tlsServer = createTlsServer({
    fetch: createSites([siteAt(entraHosts, entra), siteAt([graphHost], graph), ...storage.sites, vaults]),
    certificate: createServerCertificate(keys.authority, realNow()),
    onDistrust: () =>
      onHint(
        `A client left the TLS connection without a request. It probably doesn't trust the emulator's CA: ` +
          `start it with NODE_EXTRA_CA_CERTS=${keys.caFile} (other languages: SSL_CERT_FILE=${keys.bundleFile}).`,
      ),
  });
  const tlsPort = await open(tlsServer, 0);
  const proxyUrl = `http://127.0.0.1:${await open(createConnectProxy(tlsPort), 2)}`;

  // An agent's own host and port win over those of the request; the name in the certificate stays the URL's.
  const agent = new Agent({
    keepAlive: true,
    ca: keys.authority.certificate,
    host: '127.0.0.1',
    port: tlsPort,
  });
  undo.push(
    () => agent.destroy(),
    () => closing.abort(),
  );

  const accessOf = createAccess({
    identityUrl,
    proxyUrl,
    keys,
    headerOf,
    tokens,
    federation,
    tenantId,
    folder,
  });
  const identities = createIdentities(directory, accessOf);
  const defaultIdentity = identities.get(defaultName);

  const addresses = {
    vaultUrl: vaultUrlOf(options.vaults[0]?.name ?? ''),
    identityEndpoint: `${identityUrl}${appServicePath}`,
    identityHeader: headerOf(defaultIdentity.name),
    imdsUrl: `${identityUrl}/`,
    caFile: keys.caFile,
    proxyUrl,
  };
  const parts = { clock, faults, identities, subscriptions: events.subscriptions, audit };
  const directUrl = `https://localhost:${tlsPort}`;
  const vaultUrls = options.vaults.map(({ name }) => vaultUrlOf(name));
  const admin = createAdmin({ ...parts, describe: () => ({ ...addresses, directUrl, vaultUrls }) });
  const adminUrl = `http://127.0.0.1:${await open(httpServer(admin), 3)}/`;
  const configured = options.subscriptions.map((subscription, index) =>
    events.subscriptions.add({ name: `subscription-${index + 1}`, ...subscription }),
  );
  await Promise.all(configured);

  return {
    ...addresses,
    ...parts,
    adminUrl,
    directUrl,
    keysUrl: `${identityUrl}/${tenantId}/discovery/keys`,
    ca: keys.authority.certificate,
    environment: defaultIdentity.environment,
    clientOptions: { agent },
    credential: defaultIdentity.credential,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function httpServer(app: { fetch(request: Request): Response | Promise<Response> }): Server {
  const listener = getRequestListener((request) => app.fetch(request), { overrideGlobalObjects: false });
  return createServer((request, response) => void listener(request, response));
}

function openLog(dataFolder: string | undefined, undo: Undo): ChangeLog {
  if (dataFolder === undefined) return inMemory;
  const log = openChangeLog(dataFolder);
  undo.push(() => log.close());
  return log;
}

/** The clock goes on where a former start left it, unless it is told where to stand. */
function openClock(log: ChangeLog, startAt: Date | undefined, undo: Undo): RunningClock {
  let aheadMs = 0;
  const moves = log.open<{ readonly aheadMs: number }>('clock', {
    apply(move) {
      aheadMs = move.aheadMs;
    },
    *snapshot() {
      yield { aheadMs };
    },
  });
  const realMs = (): number => Date.now();
  const clock = createClock({
    startMs: startAt?.getTime() ?? realMs() + aheadMs,
    realMs,
    onMoved: (by) => moves.append({ aheadMs: by }),
  });
  undo.push(() => clock.close());
  return clock;
}

async function temporaryFolder(undo: Undo): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-emulator-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function once(action: () => Promise<void>): () => Promise<void> {
  let started: Promise<void> | undefined;
  return () => (started ??= action());
}
