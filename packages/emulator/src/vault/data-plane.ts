import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import { EmulatorError } from '../emulator-error.ts';
import { answerError, type VaultEnv } from './answer.ts';
import { auditEvent, type AuditEvent } from './audit.ts';
import type { BackupBlobs } from './backup-blob.ts';
import { nextLink, readPageRequest, withEmptyPage } from './paging.ts';
import { methodNotAllowed, noSuchHost, unknownPath } from './refusals.ts';
import { readRestoreBody, readSetBody, readUpdateBody } from './request-body.ts';
import { createBundleWriter } from './secret-bundle.ts';
import type { NamedVersion, Page, PageRequest, SecretStore } from './secret.ts';
import { createServing, type Call, type Gate } from './serving.ts';

/** Who is known to be behind a token. */
export type Authenticate = (
  authorization: string | undefined,
  audience: string,
) => Promise<{ readonly objectId: string; readonly clientId: string }>;

/** The secrets part of Key Vault's REST interface, for one vault. */
export function createDataPlane(
  options: Gate & {
    readonly vaultUrl: string;
    readonly resourceId: string;
    readonly tenantId: string;
    readonly recoverableDays: number;
    readonly emptyPages: boolean;
    readonly store: SecretStore;
    readonly backups: BackupBlobs;
    readonly authenticate: Authenticate;
    readonly now: () => Date;
    readonly log: (event: AuditEvent) => void;
    readonly onHint: (line: string) => void;
  },
): Hono<VaultEnv> {
  const { store, vaultUrl } = options;
  const bundles = createBundleWriter(vaultUrl, options.recoverableDays);
  const serve = createServing(options);
  const challengeFor = createChallenge(options.tenantId);
  // `/secrets/name/` and `/secrets/name` are the same: the client library sends the slash when it has no version.
  const app = new Hono<VaultEnv>({ strict: false });

  app.use(async (c, next) => {
    const requestId = randomUUID();
    const url = new URL(c.req.url);
    c.set('call', { requestId, startedAt: performance.now() });
    c.set('url', url);
    c.set('headers', {
      ...fixedHeaders,
      'x-ms-request-id': requestId,
      'x-ms-client-request-id': c.req.header('x-ms-client-request-id') ?? requestId,
    });
    await next();
    const call = c.get('call');
    options.log(
      auditEvent(call, {
        time: options.now(),
        durationMs: Math.round(performance.now() - call.startedAt),
        vaultUrl,
        resourceId: options.resourceId,
        url,
        userAgent: c.req.header('user-agent') ?? '',
      }),
    );
  });

  // Without a token nothing is told at all, not even which paths exist.
  app.use(async (c, next) => {
    const audience = audienceFor(c.get('url').hostname);
    c.get('call').caller = await options.authenticate(c.req.header('authorization'), audience);
    // The router would take it for a get.
    if (c.req.method === 'HEAD') throw methodNotAllowed('HEAD');
    await next();
  });

  const list =
    <T>(read: (call: Call, page: PageRequest) => Page<T>, write: (item: T) => object) =>
    (call: Call) => {
      const readPage = (page: PageRequest) => read(call, page);
      const pages = options.emptyPages ? withEmptyPage(readPage) : readPage;
      const page = pages(readPageRequest(call.url.searchParams));
      const origin = call.url.port === '' ? `${call.url.origin}:443` : call.url.origin;
      return { value: page.items.map(write), nextLink: nextLink({ url: call.url, origin }, page.next) };
    };

  /** The audit log says which version the call turned out to be about. */
  const about = (call: Call, secret: NamedVersion): NamedVersion => {
    call.concerns(secret.name, secret.version.id);
    return secret;
  };

  app.get(
    '/secrets',
    serve(
      'listSecrets',
      list((_call, page) => store.list(page), bundles.listed),
    ),
  );
  app.get(
    '/secrets/:name/versions',
    serve(
      'listVersions',
      list(({ name }, page) => store.listVersions(name, page), bundles.listedVersion),
    ),
  );
  app.post(
    '/secrets/restore',
    serve('restoreSecret', async (call) => {
      const backup = options.backups.open(readRestoreBody(await call.body()));
      return bundles.withoutValue(about(call, store.restore(backup)));
    }),
  );
  app.post(
    '/secrets/:name/backup',
    serve('backupSecret', ({ name }) => ({ value: options.backups.seal(store.backup(name)) })),
  );

  app.put(
    '/secrets/:name',
    serve('setSecret', async (call) => {
      const { value, properties } = readSetBody(await call.body());
      return bundles.withValue(about(call, store.set(call.name, value, properties)));
    }),
  );
  app.get(
    '/secrets/:name/:version?',
    serve('getSecret', (call) => bundles.withValue(about(call, store.get(call.name, call.version)))),
  );
  app.patch(
    '/secrets/:name/:version?',
    serve('updateSecret', async (call) => {
      const changes = readUpdateBody(await call.body());
      return bundles.withoutValue(about(call, store.update(call.name, call.version, changes)));
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
      list((_call, page) => store.listDeleted(page), bundles.listedDeleted),
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
    return answerError(c, known ? methodNotAllowed(c.req.method) : unknownPath(), '');
  });
  app.onError((error, c) => {
    // A mistake of the emulator's own. Its message might quote what the client sent; where it happened can't.
    if (error instanceof EmulatorError) {
      if (error.refusal === undefined)
        options.onHint(`The emulator failed to serve a request: ${error.message}`);
    } else options.onHint(`The emulator failed to serve a request. ${frames(error)}`);
    return answerError(c, error, challengeFor(c.get('url').hostname));
  });
  return app;
}

/**
 * What tokens must be made out to. The client library compares it with the host it talks to, so a vault under a
 * `.localhost` name has one of its own.
 */
function audienceFor(host: string): string {
  return host.endsWith('.vault.localhost') ? 'https://vault.localhost' : vaultResource;
}

export const vaultResource = 'https://vault.azure.net';

const createChallenge = (tenantId: string) => (host: string) =>
  `Bearer authorization="https://login.windows.net/${tenantId}", resource="${audienceFor(host)}"`;

/** The answer at a host where no vault is: on Azure its name would not resolve. */
export function answerUnknownVault(host: string, known: readonly string[]): Response {
  const { message, refusal } = noSuchHost(host, known);
  return Response.json({ error: { code: refusal?.code, message } }, { status: 421 });
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
} as const;
