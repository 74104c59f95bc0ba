import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import type { ApiEnvironment } from './api-auth.ts';
import type { RouteEntry, RouteName, routeTable } from './api-table.ts';
import { problem } from './problem.ts';

type Entry<N extends RouteName> = (typeof routeTable)[N];

/** What a handler gets: all that its line in the table names, checked. */
export interface Input<N extends RouteName> {
  readonly parameters: Entry<N> extends { readonly parameters: infer P }
    ? { readonly [K in keyof P]: string }
    : undefined;
  readonly query: Entry<N> extends { readonly query: infer Q extends z.ZodType } ? z.output<Q> : undefined;
  readonly body: Entry<N> extends { readonly body: infer B extends z.ZodType } ? z.output<B> : undefined;
}

/**
 * A page of another site can have a browser send a form here, or plain text, but JSON only when it is allowed to;
 * nobody is. There are no cookies either.
 */
export const jsonOnly: MiddlewareHandler<ApiEnvironment> = async (context, next) => {
  const type = context.req.header('content-type') ?? '';
  if (/^application\/json\s*(;|$)/i.test(type)) return next();
  return problem({
    code: 'NOT_JSON',
    detail: `The request is ${type === '' ? 'of no type' : `of type ${type.slice(0, 100)}`}, not application/json.`,
    hint: 'Send Content-Type: application/json.',
  });
};

const longestBodyKiB = 16;
export const shortBody: MiddlewareHandler<ApiEnvironment> = bodyLimit({
  maxSize: longestBodyKiB * 1024,
  onError: () => problem({ code: 'TOO_LARGE', detail: `A request has at most ${longestBodyKiB} KiB.` }),
});

/** Reads and checks what a request says; the answer that refuses it if something is wrong. */
export async function readInput(
  context: Context<ApiEnvironment>,
  route: RouteEntry,
): Promise<Input<RouteName> | Response> {
  const said: Record<'parameters' | 'query' | 'body', unknown> = {
    parameters: context.req.param(),
    query: context.req.query(),
    body: undefined,
  };
  if (route.body) {
    try {
      said.body = JSON.parse(await context.req.text());
    } catch {
      return problem({ code: 'INVALID_REQUEST', detail: 'The body is not JSON.' });
    }
  }
  const schemas = {
    parameters: z.object(route.parameters ?? {}),
    query: route.query ?? z.object({}),
    body: route.body ?? z.undefined(),
  };
  const read: Record<string, unknown> = {};
  for (const part of ['parameters', 'query', 'body'] as const) {
    const checked = schemas[part].safeParse(said[part]);
    if (!checked.success) return invalid(part, checked.error.issues[0]);
    read[part] = checked.data;
  }
  return read as unknown as Input<RouteName>;
}

function invalid(part: string, issue: z.core.$ZodIssue | undefined): Response {
  const where = [part === 'body' ? 'The body' : `The ${part}`, issue?.path.join('.')]
    .filter(Boolean)
    .join(': ');
  return problem({
    code: 'INVALID_REQUEST',
    detail: `${where}: ${issue?.message ?? 'is not what is expected'}.`,
    hint: 'All routes with what they take: /openapi.json.',
  });
}
