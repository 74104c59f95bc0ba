import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { inMemory, type ChangeLog } from '../../src/change-log.ts';
import { createClock, type RunningClock } from '../../src/clock.ts';
import { openApplications, type Applications } from '../../src/graph/applications.ts';
import { createGraph, graphHost } from '../../src/graph/graph.ts';
import { createEntra, entraHosts } from '../../src/identity/entra.ts';
import { createFederation, type Federation } from '../../src/identity/federation.ts';
import { openDirectory, type Directory } from '../../src/identity/directory.ts';
import { createManagedIdentity, identityHeaders } from '../../src/identity/managed-identity.ts';
import { createTokens, type Tokens } from '../../src/identity/tokens.ts';
import { createAuthority, createServerCertificate } from '../../src/network/certificates.ts';
import { createConnectProxy } from '../../src/network/connect-proxy.ts';
import { listen } from '../../src/network/listener.ts';
import { createTlsServer } from '../../src/network/tls-server.ts';
import { readOptions, type CheckedOptions, type EmulatorSettings } from '../../src/options.ts';
import { createArm, armHost } from '../../src/storage/arm.ts';
import { startAzurite, type Azurite } from '../../src/storage/azurite.ts';
import { createBlobEndpoint, isBlobHost } from '../../src/storage/blob-endpoint.ts';
import { openStorageAccounts, type StorageAccounts } from '../../src/storage/storage-accounts.ts';

export const tenantId = '0d1c2b3a-4e5f-4a6b-8c7d-9e0f1a2b3c4d';
// Generated once for the whole file: it takes a while.
export const signingKey = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();

/** Everything but the vaults, on real servers: TLS by host name behind a proxy, and plain http for identities. */
export interface Cloud extends AsyncDisposable {
  readonly options: CheckedOptions;
  readonly clock: RunningClock;
  readonly directory: Directory;
  readonly tokens: Tokens;
  readonly federation: Federation;
  readonly applications: Applications;
  readonly accounts: StorageAccounts;
  readonly azurite: Azurite | undefined;
  readonly identityUrl: string;
  readonly proxyUrl: string;
  readonly ca: string;
  readonly agent: Agent;
  readonly headerOf: (name: string) => string;
  /** One request to `https://HOST/…`. */
  call(url: string, options?: CallOptions): Promise<Answer>;
  /** A token of the identity of that name. */
  tokenOf(name: string, audience: string): Promise<string>;
  /** Runs a script that knows nothing of the emulator in a process of its own, and returns what it prints. */
  run(script: string, environment: Record<string, string>): Promise<string>;
}

export interface CallOptions {
  readonly method?: string;
  readonly token?: string | undefined;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** A parsed body, loose enough to reach into. */
export type Json = { readonly [key: string]: Json } & readonly Json[];

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: Json;
}

export async function startCloud(
  settings: EmulatorSettings,
  { log = inMemory, startAt = new Date(), folder }: { log?: ChangeLog; startAt?: Date; folder?: string } = {},
): Promise<Cloud> {
  const options = readOptions(settings);
  const realNow = () => new Date();
  const clock = createClock({ startMs: startAt.getTime(), realMs: Date.now, onMoved: () => {} });
  const directory = openDirectory(log);
  for (const identity of options.identities) directory.add(identity);
  const tokens = await createTokens({ signingKey, tenantId, now: realNow });
  const federation = await createFederation({ signingKey, now: realNow });
  const applications = openApplications({ log, settings: options.applications, now: clock.now });
  const accounts = openStorageAccounts({ log, settings: options.storageAccounts, now: clock.now });
  const keysOf = (account: string) => accounts.keysOf(account)?.map(({ value }) => value);
  const azurite =
    accounts.all().length === 0
      ? undefined
      : await startAzurite({ keysOf, ...(folder === undefined ? {} : { dataFolder: folder }) });
  log.compact();

  const entra = createEntra({ tenantId, tokens, directory, applications, federation, now: realNow });
  const graph = createGraph({ applications, tokens, directory, now: clock.now });
  const arm = createArm({ accounts, tokens, directory, tenantId });
  const blobs = azurite && createBlobEndpoint(azurite);
  const fetchTls = (incoming: Request, env: HttpBindings): Response | Promise<Response> => {
    const host = env.incoming.headers.host ?? '';
    if (entraHosts.some((known) => known === host)) return entra.fetch(incoming, env);
    if (host === graphHost) return graph.fetch(incoming, env);
    if (host === armHost) return arm.fetch(incoming, env);
    if (blobs !== undefined && isBlobHost(host)) return blobs.fetch(incoming, env);
    return new Response(undefined, { status: 421 });
  };

  const authority = createAuthority(realNow());
  const tlsServer = createTlsServer({
    fetch: (incoming, env) => fetchTls(incoming, env as HttpBindings),
    certificate: createServerCertificate(authority, realNow()),
    onDistrust: () => {},
  });
  const tls = await listen(tlsServer, 0);
  const proxy = await listen(createConnectProxy(tls.port), 0);
  const headerOf = identityHeaders(signingKey);
  const plain = new Hono();
  plain.route('/', createManagedIdentity({ tokens, directory, headerOf }));
  plain.mount('/', entra.fetch);
  const plainListener = getRequestListener(plain.fetch, { overrideGlobalObjects: false });
  const identityServer = await listen(
    createServer((incoming, outgoing) => void plainListener(incoming, outgoing)),
    0,
  );

  const temporary = await mkdtemp(join(tmpdir(), 'cloud-test-'));
  const caFile = join(temporary, 'ca.pem');
  await writeFile(caFile, authority.certificate);
  const agent = new Agent({ keepAlive: true, ca: authority.certificate, host: '127.0.0.1', port: tls.port });
  const proxyUrl = `http://127.0.0.1:${proxy.port}`;

  return {
    options,
    clock,
    directory,
    tokens,
    federation,
    applications,
    accounts,
    azurite,
    identityUrl: `http://127.0.0.1:${identityServer.port}`,
    proxyUrl,
    ca: authority.certificate,
    agent,
    headerOf,
    call: (url, callOptions = {}) => call(agent, url, callOptions),
    tokenOf: async (name, audience) => (await tokens.issue(directory.get(name), audience)).token,
    run: (script, environment) =>
      new Promise((resolve, reject) => {
        const env = {
          PATH: process.env['PATH'] ?? '',
          HTTPS_PROXY: proxyUrl,
          NO_PROXY: '127.0.0.1',
          NODE_EXTRA_CA_CERTS: caFile,
          ...environment,
        };
        execFile(process.execPath, [script], { env }, (error, stdout, stderr) => {
          if (error) reject(new Error(stderr, { cause: error }));
          else resolve(stdout.trim());
        });
      }),
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await Promise.all([
        tls.close(),
        proxy.close(),
        identityServer.close(),
        azurite?.close(),
        clock.close(),
      ]);
      await rm(temporary, { recursive: true });
    },
  };
}

function call(agent: Agent, url: string, { token, body, ...options }: CallOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...options.headers,
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    };
    const outgoing = request(url, { agent, method: options.method ?? 'GET', headers }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const json = (/json/.test(answer.headers['content-type'] ?? '') ? JSON.parse(text) : {}) as Json;
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json });
      });
      answer.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
