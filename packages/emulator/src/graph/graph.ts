import { Hono, type Context } from 'hono';
import { z } from 'zod';
import type { Directory } from '../identity/directory.ts';
import type { Tokens } from '../identity/tokens.ts';
import type { Application, Applications } from './applications.ts';
import {
  answerRefusal,
  badRequest,
  insufficientPrivileges,
  invalidToken,
  methodNotAllowed,
  noSuchPassword,
  resourceNotFound,
  unknownSegment,
  unreadableBody,
} from './graph-refusal.ts';
import { readQuery, type ApplicationEntity, type ApplicationQuery } from './application-query.ts';

// The part of Microsoft Graph that manages the passwords of applications,
// https://learn.microsoft.com/graph/api/resources/application

/** What is to serve under this name through TLS. */
export const graphHost = 'graph.microsoft.com';
const resource = `https://${graphHost}`;
const metadata = `${resource}/v1.0/$metadata#`;

interface GraphPorts {
  readonly applications: Applications;
  readonly tokens: Tokens;
  readonly directory: Directory;
  /** The emulator's clock. */
  readonly now: () => Date;
}

export function createGraph(ports: GraphPorts): Hono {
  const app = new Hono();

  app.all('*', async (c) => {
    const caller = await ports.tokens.examine(c.req.header('authorization'), [resource]);
    if ('problem' in caller) throw invalidToken(caller);
    const target = readTarget(new URL(c.req.url).pathname);
    const may = (name: string): boolean =>
      ports.directory.allows(caller.objectId, 'Application.ReadWrite.All', name.toLowerCase());

    if (target.one === undefined) {
      if (c.req.method !== 'GET') throw methodNotAllowed();
      const visible = ports.applications.all().filter(({ displayName }) => may(displayName));
      if (visible.length === 0 && !may('')) throw insufficientPrivileges();
      return listApplications(c, visible, ports);
    }

    const application = ports.applications.find(target.one);
    // Whoever may not see it isn't told that it isn't there.
    if (!may(application?.displayName ?? '')) throw insufficientPrivileges();
    if (application === undefined) throw resourceNotFound(target.name);
    if (c.req.method !== (target.action === undefined ? 'GET' : 'POST')) throw methodNotAllowed();
    if (target.action === 'addPassword') return addPassword(c, application, ports);
    if (target.action === 'removePassword') return removePassword(c, application, ports);
    const query = readQuery(new URL(c.req.url).searchParams);
    const context = `${metadata}applications${query.columns}/$entity`;
    return c.json({ '@odata.context': context, ...query.select(entityOf(application, ports)) });
  });

  app.onError((error, c) => answerRefusal(c, error, ports.now()));
  return app;
}

/** Which application, by object id or by client id, and what is to be done with it. */
function readTarget(path: string) {
  const segments = safelyDecoded(path);
  const match =
    /^\/v1\.0\/applications(?:\/(?<id>[^/()]+)|\(appId='(?<appId>[^']+)'\))?(?:\/(?:microsoft\.graph\.)?(?<action>addPassword|removePassword))?\/?$/i.exec(
      segments,
    )?.groups;
  if (match === undefined) throw unknownSegment(segments);
  const { id, appId } = match;
  const name = id ?? appId;
  const action = (['addPassword', 'removePassword'] as const).find(
    (known) => known.toLowerCase() === match['action']?.toLowerCase(),
  );
  const wanted = name?.toLowerCase();
  const one =
    wanted === undefined
      ? undefined
      : (application: Application) => (id === undefined ? application.appId : application.id) === wanted;
  if (one === undefined && action !== undefined) throw unknownSegment(action);
  return { name: name ?? '', one, action };
}

function safelyDecoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw unknownSegment(path);
  }
}

function listApplications(c: Context, visible: readonly Application[], ports: GraphPorts): Response {
  const query: ApplicationQuery = readQuery(new URL(c.req.url).searchParams);
  const value = visible
    .map((application) => entityOf(application, ports))
    .filter(query.matches)
    .map(query.select);
  return c.json({ '@odata.context': `${metadata}applications${query.columns}`, value });
}

function entityOf({ id, appId, displayName }: Application, { applications }: GraphPorts): ApplicationEntity {
  const passwordCredentials = applications
    .passwordsOf(id)
    .map((password) => ({ customKeyIdentifier: null, ...password, secretText: null }));
  return { id, appId, displayName, keyCredentials: [], passwordCredentials };
}

const odata = { '@odata.type': z.string().exactOptional() };
const moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());
const added = z.strictObject({
  passwordCredential: z
    .strictObject({
      ...odata,
      displayName: z.string().nullable().default(null),
      startDateTime: moment.nullish(),
      endDateTime: moment.nullish(),
    })
    .nullish(),
});
const removed = z.strictObject({ keyId: z.guid().toLowerCase() });

async function addPassword(c: Context, { id }: Application, ports: GraphPorts): Promise<Response> {
  const wish = (await readBody(c, added)).passwordCredential;
  const start = wish?.startDateTime ?? ports.now().toISOString();
  const inTwoYears = new Date(start);
  inTwoYears.setUTCFullYear(inTwoYears.getUTCFullYear() + 2);
  const endDateTime = wish?.endDateTime ?? inTwoYears.toISOString();
  if (endDateTime <= start) throw badRequest('The end date of a password must be after its start date.');
  const password = ports.applications.addPassword(id, {
    displayName: wish?.displayName ?? null,
    startDateTime: start,
    endDateTime,
  });
  const context = `${metadata}microsoft.graph.passwordCredential`;
  return c.json({ '@odata.context': context, customKeyIdentifier: null, ...password });
}

async function removePassword(c: Context, { id }: Application, ports: GraphPorts): Promise<Response> {
  const { keyId } = await readBody(c, removed);
  if (!ports.applications.removePassword(id, keyId)) throw noSuchPassword();
  return c.body(null, 204);
}

async function readBody<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const text = await c.req.text();
  let body: unknown;
  try {
    body = JSON.parse(text === '' ? '{}' : text);
  } catch {
    throw unreadableBody();
  }
  const checked = schema.safeParse(body);
  if (checked.success) return checked.data;
  // Paths only: a client that sends a secret it isn't asked for doesn't get it back in a message.
  const where = checked.error.issues.map(({ path }) => path.join('.') || 'the payload').join(', ');
  throw badRequest(`The request payload is not valid for this operation: ${where}.`);
}
