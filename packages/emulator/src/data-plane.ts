import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { auditEntry, type AuditEntry } from './audit.ts';
import { EmulatorError } from './emulator-error.ts';
import type { FaultPlan } from './faults.ts';
import { nextLink, readPageRequest } from './paging.ts';
import { methodNotAllowed, notImplemented, unknownPath, wrongVault } from './refusals.ts';
import { readSetBody, readUpdateBody } from './request-body.ts';
import { createBundleWriter } from './secret-bundle.ts';
import type { Page, SecretStore } from './secret.ts';
import { answerError, createServing, type Call, type VaultEnv } from './serving.ts';
import type { Tokens } from './tokens.ts';

/** What tokens for the vault must be made out to. */
export const vaultResource = 'https://vault.azure.net';

/** The secrets part of Key Vault's REST interface. */
export function createDataPlane(options: {
  readonly vault: string;
  readonly vaultUrl: string;
  readonly tenantId: string;
  readonly store: SecretStore;
  readonly tokens: Tokens;
  readonly faults: FaultPlan;
  readonly now: () => Date;
  readonly closing: AbortSignal;
  readonly log: (entry: AuditEntry) => void;
  readonly onHint: (line: string) => void;
}): Hono<VaultEnv> {
  const { store, vaultUrl } = options;
  const vaultHost = new URL(vaultUrl).hostname;
  const hosts = new Set([vaultHost, 'localhost', '127.0.0.1']);
  const challenge = `Bearer authorization="https://login.windows.net/${options.tenantId}", resource="${vaultResource}"`;
  const bundles = createBundleWriter(vaultUrl);
  const serve = createServing(options);
  // `/secrets/name/` and `/secrets/name` are the same: the client library sends the slash when it has no version.
  const app = new Hono<VaultEnv>({ strict: false });

  app.use(async (c, next) => {
    const requestId = randomUUID();
    c.set('call', { requestId });
    for (const [name, value] of Object.entries(fixedHeaders)) c.header(name, value);
    c.header('x-ms-request-id', requestId);
    c.header('x-ms-client-request-id', c.req.header('x-ms-client-request-id') ?? requestId);
    await next();
    options.log(
      auditEntry(c.get('call'), { time: options.now(), vault: options.vault, status: c.res.status }),
    );
  });

  // The host stands in for DNS, so it comes first. The token comes next: without one, nothing is told at all,
  // not even which paths exist.
  app.use(async (c, next) => {
    const host = new URL(c.req.url).hostname;
    if (!hosts.has(host)) throw wrongVault(host, vaultUrl);
    c.get('call').identity = await options.tokens.verify(c.req.header('authorization'), vaultResource);
    await next();
  });

  const list =
    <T>(read: (call: Call) => Page<T>, write: (item: T) => object) =>
    (call: Call) => {
      const page = read(call);
      const origin = call.url.hostname === vaultHost ? `${vaultUrl}:443` : call.url.origin;
      return { value: page.items.map(write), nextLink: nextLink({ url: call.url, origin }, page.next) };
    };

  app.get(
    '/secrets',
    serve(
      'listSecrets',
      list(({ url }) => store.list(readPageRequest(url.searchParams)), bundles.listed),
    ),
  );
  app.get(
    '/secrets/:name/versions',
    serve(
      'listVersions',
      list(
        ({ name, url }) => store.listVersions(name, readPageRequest(url.searchParams)),
        bundles.listedVersion,
      ),
    ),
  );
  app.post(
    '/secrets/restore',
    serve('restoreSecret', () => {
      throw notImplemented('restore');
    }),
  );
  app.post(
    '/secrets/:name/backup',
    serve('backupSecret', () => {
      throw notImplemented('backup');
    }),
  );

  app.put(
    '/secrets/:name',
    serve('setSecret', async (call) => {
      const { value, properties } = readSetBody(await call.body());
      const secret = store.set(call.name, value, properties);
      call.concerns(secret.version.id);
      return bundles.withValue(secret);
    }),
  );
  app.get(
    '/secrets/:name/:version?',
    serve('getSecret', (call) => {
      const secret = store.get(call.name, call.version);
      call.concerns(secret.version.id);
      return bundles.withValue(secret);
    }),
  );
  app.patch(
    '/secrets/:name/:version?',
    serve('updateSecret', async (call) => {
      const secret = store.update(call.name, call.version, readUpdateBody(await call.body()));
      call.concerns(secret.version.id);
      return bundles.withoutValue(secret);
    }),
  );
  app.delete(
    '/secrets/:name',
    serve('deleteSecret', ({ name }) => bundles.deleted(store.delete(name))),
  );

  app.get(
    '/deletedsecrets',
    serve(
      'listDeletedSecrets',
      list(({ url }) => store.listDeleted(readPageRequest(url.searchParams)), bundles.listedDeleted),
    ),
  );
  app.get(
    '/deletedsecrets/:name',
    serve('getDeletedSecret', ({ name }) => bundles.deleted(store.getDeleted(name))),
  );
  app.post(
    '/deletedsecrets/:name/recover',
    serve('recoverSecret', ({ name }) => bundles.withoutValue(store.recover(name))),
  );
  app.delete(
    '/deletedsecrets/:name',
    serve('purgeSecret', ({ name }) => {
      store.purge(name);
      return undefined;
    }),
  );

  app.notFound((c) => {
    const known = /^\/(deleted)?secrets(\/|$)/.test(c.req.path);
    return answerError(c, known ? methodNotAllowed(c.req.method) : unknownPath(), challenge);
  });
  app.onError((error, c) => {
    // A mistake of the emulator's own. Its message might quote what the client sent; where it happened can't.
    if (!(error instanceof EmulatorError))
      options.onHint(`The emulator failed to serve a request. ${frames(error)}`);
    return answerError(c, error, challenge);
  });
  return app;
}

const frames = (error: Error): string =>
  (error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');

const fixedHeaders = {
  'Cache-Control': 'no-cache',
  Pragma: 'no-cache',
  Expires: '-1',
  'x-ms-keyvault-region': 'local',
  'x-ms-keyvault-service-version': '1.9.0.0',
  'x-ms-keyvault-network-info': 'conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;',
  'X-Content-Type-Options': 'nosniff',
  'Strict-Transport-Security': 'max-age=31536000;includeSubDomains',
};
