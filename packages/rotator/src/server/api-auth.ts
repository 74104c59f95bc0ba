import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { problem, type Refusal } from './problem.ts';

/** A viewer looks, an operator starts and orders, an approver approves; an application is for its instances only. */
export const roles = ['viewer', 'operator', 'approver', 'application'] as const;
export type Role = (typeof roles)[number];

/** Who sends a request. */
export interface Caller {
  /** A name for people. It may change, and two may share it. */
  readonly who: string;
  /** The stable id of a signed-in caller. */
  readonly id?: string;
  readonly roles: ReadonlySet<Role>;
  /** The consumers that it may report for; all if absent. */
  readonly consumers?: readonly string[];
}

/** What is looked at to tell who sends a request. */
export interface Asking {
  readonly header: (name: string) => string | undefined;
  /** The address that the connection comes from. */
  readonly peer: string | undefined;
  readonly role: Role;
}

/** Tells who sends a request, or why nobody is believed to. */
export interface Auth {
  /** True if it asks for tokens. */
  readonly signIn: boolean;
  identify(asking: Asking): Promise<Caller | Refusal>;
}

/** What a handler finds: who asks, once `requireRole` has let them pass. */
export interface ApiEnvironment {
  Bindings: Partial<HttpBindings>;
  Variables: { caller: Caller };
}

/** Who may act and who approves may look as well; nobody else gets what they were not given. */
export function hasRole(held: ReadonlySet<Role>, needed: Role): boolean {
  if (held.has(needed)) return true;
  return needed === 'viewer' && (held.has('operator') || held.has('approver'));
}

/** Lets pass who has the role, and nobody else. The caller is then known as `context.get('caller')`. */
export function requireRole(auth: Auth, role: Role): MiddlewareHandler<ApiEnvironment> {
  return async (context, next) => {
    const caller = await auth.identify({
      header: (name) => context.req.header(name),
      peer: context.env?.incoming?.socket.remoteAddress,
      role,
    });
    if ('code' in caller) return problem(caller);
    if (!hasRole(caller.roles, role)) {
      return problem({
        code: 'ROLE_MISSING',
        detail: `${caller.who} needs the role ${role} and has ${[...caller.roles].join(', ') || 'none'}.`,
        hint: `Assign the app role ${role} in Entra; a token that was issued before doesn't have it.`,
      });
    }
    context.set('caller', caller);
    return next();
  };
}

const longestReport = bodyLimit({
  maxSize: 64 * 1024,
  onError: () => problem({ code: 'TOO_LARGE', detail: 'A report of adoption has at most 64 KiB.' }),
});

/** Behind `requireRole`, for the routes of instances: lets a token speak only for the consumers it stands for. */
export function asOwnConsumer(): MiddlewareHandler<ApiEnvironment> {
  return async (context, next) => {
    const { consumers, who } = context.get('caller');
    if (consumers === undefined) return next();
    const check = async (): Promise<void> => {
      const consumer = await consumerOf(context);
      if (consumer !== undefined && consumers.includes(consumer)) return next();
      context.res = problem({
        code: 'WRONG_CONSUMER',
        detail: `${who} may speak for ${consumers.join(', ') || 'no consumer'} only.`,
        hint: 'Map the application to its consumer in the configuration of the rotator.',
      });
    };
    if (context.req.method !== 'POST') return check();
    return longestReport(context, check);
  };
}

/** What is read here is kept by the request for whoever reads it next. */
async function consumerOf(context: Context<ApiEnvironment>): Promise<string | undefined> {
  if (context.req.method !== 'POST') return context.req.query('consumer');
  const body: unknown = await context.req.json().catch(() => undefined);
  const { consumer } = (body ?? {}) as { readonly consumer?: unknown };
  return typeof consumer === 'string' ? consumer : undefined;
}
