import type { Context } from 'hono';
import type { By, Operations } from '../operations.ts';
import type { ApiEnvironment, Caller } from './api-auth.ts';
import type { Input } from './api-input.ts';
import type { RouteName } from './api-table.ts';
import type { EventHub } from './event-hub.ts';
import { problem } from './problem.ts';

type Here = Context<ApiEnvironment>;
type OwnRoute = Exclude<RouteName, 'announcements' | 'reportAdoption'>;
export type Handler = (input: Input<RouteName>, context: Here) => Promise<Response> | Response;
type Handlers = {
  readonly [N in OwnRoute]: (input: Input<N>, context: Here) => Promise<Response> | Response;
};

/** What each route does once whoever asks may and what they say is checked. */
export function apiHandlers(at: {
  readonly operations: Operations;
  readonly events: EventHub;
  readonly document: unknown;
}): Handlers {
  const { operations, events, document } = at;
  return {
    listSecrets: async () => json({ secrets: await operations.secrets() }),
    getSecret: async ({ parameters: { name } }) => json(await operations.secret(name)),
    foresee: async ({ parameters: { name } }) => json(await operations.foresee(name)),
    listRotations: async ({ query: { secret, limit } }) =>
      json({ rotations: await operations.rotations({ limit, ...(secret === undefined ? {} : { secret }) }) }),
    getRotation: async ({ parameters: { id } }) => json(await operations.rotation(id)),
    getStory: async ({ parameters: { id } }) => json({ events: await operations.story(id) }),

    async startRotation({ body: { secret, why, compromised } }, context) {
      const started = await operations.start({
        secret,
        by: by(context, why),
        ...(compromised ? { compromised } : {}),
      });
      return json(started, { status: 202, location: `/v1/rotations/${encodeURIComponent(started.id)}` });
    },
    async giveOrder({ parameters: { id }, body: { order, why } }, context) {
      await operations.order(id, order, by(context, why));
      return context.body(null, 204);
    },
    async approveRotation({ parameters: { id }, body: { why } }, context) {
      await operations.approve(id, by(context, why));
      return context.body(null, 204);
    },

    watchEvents(_input, context) {
      const stream = events.connect(() => context.env.outgoing?.destroy());
      if (stream) return new Response(stream, { headers: streamHeaders });
      return problem({
        code: 'TOO_MANY_STREAMS',
        detail: 'As many streams of events are open as may be.',
        hint: 'Close one, or ask for /v1/secrets now and then.',
        headers: { 'retry-after': '30' },
      });
    },

    openapi: () => json(document),
    alive: () => json({ ok: true }),
    async ready() {
      const found = await operations
        .ready()
        .catch(() => ({ ready: false, problems: ['The rotator can’t tell what is away.'] }));
      return json(found, { status: found.ready ? 200 : 503 });
    },
  };
}

const streamHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no', // a proxy that collects would keep events back
};

function json(
  body: unknown,
  { status = 200, location }: { status?: number; location?: string } = {},
): Response {
  const headers = { 'cache-control': 'no-store', ...(location === undefined ? {} : { location }) };
  return Response.json(body, { status, headers });
}

function by(context: Here, why: string): By {
  const { who, id }: Caller = context.get('caller');
  return { who, why, ...(id === undefined ? {} : { id }) };
}
