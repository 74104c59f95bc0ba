import { Hono, type Context } from 'hono';
import type { Operations } from '../operations.ts';
import { asOwnConsumer, requireRole, type ApiEnvironment, type Auth } from './api-auth.ts';
import { apiDocument } from './api-document.ts';
import { apiHandlers, type Handler } from './api-handlers.ts';
import { jsonOnly, readInput, shortBody } from './api-input.ts';
import { pattern, routes, type RouteEntry } from './api-table.ts';
import { openEventHub } from './event-hub.ts';
import { problem, refusalOf } from './problem.ts';

export interface ApiOptions {
  readonly operations: Operations;
  readonly auth: Auth;
  /** The routes of the instances (`fleetRoutes`), served here behind the role of applications. */
  readonly fleet?: Hono;
  /** How often an idle stream of events shows that it lives; 15 s if absent. */
  readonly heartbeatMs?: number;
  /** A reader of events that leaves more than this unread is cut off, bytes; 1 MiB if absent. */
  readonly longestQueueBytes?: number;
  /** How many streams of events may be open; 100 if absent. */
  readonly mostStreams?: number;
  /** Told of every error that is not one of Keyturn's own; whoever asked is not. */
  readonly unexpected?: (error: unknown) => void;
}

/** What people and programs ask of a running rotator. Every route of the table is served and guarded as it says. */
export function apiRoutes(options: ApiOptions): Hono {
  const { operations, auth, fleet, unexpected = () => undefined } = options;
  const { heartbeatMs = 15_000, longestQueueBytes = 1024 * 1024, mostStreams = 100 } = options;
  const app = new Hono<ApiEnvironment>();
  const events = openEventHub({
    watch: (listener) => operations.watch(listener),
    heartbeatMs,
    longestQueueBytes,
    mostStreams,
  });
  const document = apiDocument({ signIn: auth.signIn });
  const handlers = apiHandlers({ operations, events, document });
  const mounted = routes.filter(([name]) => fleet || name in handlers);

  for (const [name, route] of mounted) {
    const path = pattern(route);
    if (route.role !== 'everybody') app.on(route.method, path, requireRole(auth, route.role));
    // HEAD is answered like GET without its body: a stream would never be read, and never end.
    if (route.answer.stream) app.on(route.method, path, streamOnlyForGet);
    if (route.body) app.on(route.method, path, jsonOnly);
    const handler = (handlers as Partial<Record<string, Handler>>)[name];
    if (!handler) app.on(route.method, path, asOwnConsumer());
    else if (route.body) app.on(route.method, path, shortBody, answering(route, handler));
    else app.on(route.method, path, answering(route, handler));
  }
  if (fleet) app.route('/', fleet);
  for (const [, route] of mounted) app.all(pattern(route), () => wrongMethod(route));

  app.notFound((context) =>
    problem({
      code: 'UNKNOWN_ROUTE',
      detail: `There is nothing at ${context.req.path.slice(0, 200)}.`,
      hint: 'All routes: /openapi.json.',
    }),
  );
  app.onError((error) => {
    const refusal = refusalOf(error);
    if (refusal.code === 'UNEXPECTED') unexpected(error);
    return problem(refusal);
  });
  return app as unknown as Hono; // who asks is known in here only
}

function answering(route: RouteEntry, handler: Handler) {
  return async (context: Context<ApiEnvironment>): Promise<Response> => {
    const input = await readInput(context, route);
    return input instanceof Response ? input : handler(input, context);
  };
}

async function streamOnlyForGet(
  context: Context<ApiEnvironment>,
  next: () => Promise<void>,
): Promise<Response | void> {
  return context.req.method === 'HEAD' ? context.body(null) : next();
}

function wrongMethod({ path }: RouteEntry): Response {
  const methods = routes.filter(([, route]) => route.path === path).map(([, { method }]) => method);
  const allow = methods.map((method) => method.toUpperCase()).join(', ');
  return problem({
    code: 'WRONG_METHOD',
    detail: `${path} answers to ${allow} only.`,
    headers: { allow },
  });
}
