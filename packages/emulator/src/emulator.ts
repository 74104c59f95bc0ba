import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import { createServerCertificate } from './certificates.ts';
import { createConnectProxy } from './connect-proxy.ts';
import { createDataPlane, vaultResource } from './data-plane.ts';
import { createFaults, type Faults } from './faults.ts';
import { openKeyMaterial } from './key-material.ts';
import { listen, type Listener } from './listener.ts';
import { appServicePath, createManagedIdentity } from './managed-identity.ts';
import { readOptions, type CheckedOptions, type EmulatorOptions } from './options.ts';
import { readSetBody } from './request-body.ts';
import { recoverableDays } from './secret-bundle.ts';
import type { SecretStore } from './secret.ts';
import { createSecretStore } from './secret-store.ts';
import { createTokens, type Identity } from './tokens.ts';
import { createVaultServer } from './vault-server.ts';

/** A running vault with a managed identity. Everything listens on 127.0.0.1 only. */
export interface Emulator extends AsyncDisposable {
  /** `https://NAME.vault.azure.net`, as on Azure; reached through `proxyUrl` or with `clientOptions`. */
  readonly vaultUrl: string;
  /** `https://localhost:PORT`, for curl with `--cacert`. */
  readonly directUrl: string;
  /** Where App Service would let a process ask for tokens (`IDENTITY_ENDPOINT`). */
  readonly identityEndpoint: string;
  /** The secret header value for it (`IDENTITY_HEADER`), new at every start. */
  readonly identityHeader: string;
  /** A stand-in for a virtual machine's metadata service (`AZURE_POD_IDENTITY_AUTHORITY_HOST`). */
  readonly imdsUrl: string;
  /** The public key that tokens are signed with, as a JSON Web Key Set. */
  readonly keysUrl: string;
  readonly caFile: string;
  /** The CA certificate, PEM. */
  readonly ca: string;
  /** A CONNECT proxy that leads to the vault and nowhere else. */
  readonly proxyUrl: string;
  /** What a child process needs so that unmodified code finds the vault and its identity. */
  readonly environment: Readonly<Record<string, string>>;
  /** Options for a `SecretClient` in this very process, where `NODE_EXTRA_CA_CERTS` comes too late. */
  readonly clientOptions: { readonly agent: Agent };
  /**
   * The managed identity as a token credential for this very process. Azure's own credentials share one token
   * cache a process, so with them a second emulator without the first one's data folder is sent tokens that
   * it can't accept.
   */
  readonly credential: {
    getToken(scopes: string | readonly string[]): Promise<{ token: string; expiresOnTimestamp: number }>;
  };
  readonly faults: Faults;
  /** Cuts every connection and removes the temporary folder. Closing twice is closing once. */
  close(): Promise<void>;
}

// Fixed, so that what a client remembers about them stays true after a restart.
const tenantId = '0d1c2b3a-4e5f-4a6b-8c7d-9e0f1a2b3c4d';
const systemAssigned: Identity = {
  objectId: '5a0e6b1d-7c2f-4d3e-9b8a-1f2e3d4c5b6a',
  clientId: '9f8e7d6c-5b4a-4392-8170-6f5e4d3c2b1a',
};

/**
 * Starts a key vault on this machine that the unmodified `@azure/keyvault-secrets` and `@azure/identity` work
 * with, through TLS.
 *
 * @throws EmulatorError `OPTIONS_INVALID`, `DATA_FOLDER_UNUSABLE`, `LISTEN_FAILED`, or `REQUEST_REFUSED` when an
 *   initial secret is one that a vault wouldn't take.
 *
 * @example
 * ```ts
 * const vault = await startEmulator({ secrets: [{ name: 'orders-db', value: 'postgres://…' }] });
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
  const undo: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    return await start(checked, { undo, close: once(close) });
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  options: CheckedOptions,
  { undo, close }: { readonly undo: (() => unknown)[]; readonly close: () => Promise<void> },
): Promise<Emulator> {
  const { vault } = options;
  const vaultUrl = `https://${vault}.vault.azure.net`;
  const store = storeWith(options);
  const keys = await openKeyMaterial(options.dataFolder ?? (await temporaryFolder(undo)));
  const tokens = await createTokens({ signingKey: keys.signingKey, tenantId, now: () => new Date() });
  const faults = createFaults();
  const closing = new AbortController();

  const open = async (server: Parameters<typeof listen>[0], port: number): Promise<Listener> => {
    const listener = await listen(server, port);
    undo.push(() => listener.close());
    return listener;
  };

  const identityHeader = randomBytes(24).toString('base64url');
  const identities = createManagedIdentity({ tokens, identity: systemAssigned, identityHeader, tenantId });
  const identityListener = getRequestListener(identities.fetch, { overrideGlobalObjects: false });
  const identityServer = createServer((request, response) => void identityListener(request, response));
  const vaultServer = createVaultServer({
    fetch: createDataPlane({ ...options, vaultUrl, tenantId, store, tokens, faults, closing: closing.signal })
      .fetch,
    certificate: createServerCertificate(keys.authority, new Date()),
    onDistrust: () =>
      options.onHint(
        `A client left the TLS connection without a request. It probably doesn't trust the emulator's CA: ` +
          `start it with NODE_EXTRA_CA_CERTS=${keys.caFile} (other languages: trust that file).`,
      ),
  });
  const vaultPort = (await open(vaultServer, options.port)).port;
  const identityUrl = `http://127.0.0.1:${(await open(identityServer, 0)).port}`;
  const proxyUrl = `http://127.0.0.1:${(await open(createConnectProxy(vaultPort), 0)).port}`;

  // An agent's own host and port win over those of the request; the name in the certificate stays the URL's.
  const agent = new Agent({
    keepAlive: true,
    ca: keys.authority.certificate,
    host: '127.0.0.1',
    port: vaultPort,
  });
  undo.push(
    () => agent.destroy(),
    () => closing.abort(),
  );

  const identityEndpoint = `${identityUrl}${appServicePath}`;
  return {
    vaultUrl,
    directUrl: `https://localhost:${vaultPort}`,
    identityEndpoint,
    identityHeader,
    imdsUrl: `${identityUrl}/`,
    keysUrl: `${identityUrl}/${tenantId}/discovery/keys`,
    caFile: keys.caFile,
    ca: keys.authority.certificate,
    proxyUrl,
    environment: {
      HTTPS_PROXY: proxyUrl,
      // Or the plain http call for a token would go through the proxy, too.
      NO_PROXY: '127.0.0.1,localhost',
      NODE_EXTRA_CA_CERTS: keys.caFile,
      IDENTITY_ENDPOINT: identityEndpoint,
      IDENTITY_HEADER: identityHeader,
    },
    clientOptions: { agent },
    credential: {
      async getToken(scopes) {
        const [scope = vaultResource] = [scopes].flat();
        const issued = await tokens.issue(systemAssigned, scope.replace(/\/+\.default$/, ''));
        return { token: issued.token, expiresOnTimestamp: issued.expiresOn * 1000 };
      },
    },
    faults,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function storeWith(options: CheckedOptions): SecretStore {
  const store = createSecretStore({
    now: options.now,
    newVersionId: () => randomUUID().replaceAll('-', ''),
    recoverableDays,
  });
  for (const { name, ...secret } of options.secrets) {
    // Initial secrets keep to the limits that a client would have to keep to.
    const { value, properties } = readSetBody(JSON.stringify(secret));
    store.set(name, value, properties);
  }
  return store;
}

async function temporaryFolder(undo: (() => unknown)[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'keyturn-emulator-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function once(action: () => Promise<void>): () => Promise<void> {
  let started: Promise<void> | undefined;
  return () => (started ??= action());
}
