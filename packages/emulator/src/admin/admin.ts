import { Hono, type Context } from 'hono';
import { z } from 'zod';
import type { EmulatorClock } from '../clock.ts';
import { EmulatorError } from '../emulator-error.ts';
import type { Subscriptions } from '../events/event-grid.ts';
import type { IdentityAccess } from '../identity/access.ts';
import type { Identities } from '../identity/identities.ts';
import type { NewIdentity, NewRoleAssignment, NewSubscription } from '../options.ts';
import type { Audit } from '../vault/audit-trail.ts';
import type { Fault, Faults } from '../vault/faults.ts';

// What a library user does with `vault.clock`, `vault.faults` and so on, over HTTP: for tests in other languages
// and for curl. Plain http on the loopback interface; a web page can't use it, because a browser says where a
// request comes from.

const clockSchema = z.union([
  z.strictObject({ now: z.iso.datetime({ offset: true }) }),
  z.strictObject({ advanceMs: z.number().nonnegative() }),
  z.strictObject({ running: z.boolean() }),
]);

export function createAdmin(parts: {
  readonly clock: EmulatorClock;
  readonly faults: Faults;
  readonly identities: Identities;
  readonly subscriptions: Subscriptions;
  readonly audit: Audit;
  readonly describe: () => object;
}): Hono {
  const { clock, faults, identities, subscriptions, audit } = parts;
  const removals = new Map<number, () => void>();
  let faultCount = 0;
  const app = new Hono({ strict: false });

  app.use(async (c, next) => {
    const host = new URL(c.req.url).hostname;
    if (c.req.header('origin') !== undefined || !['127.0.0.1', 'localhost'].includes(host))
      return c.json({ error: 'The admin interface serves programs on this machine, not web pages.' }, 403);
    await next();
  });

  app.get('/', (c) => c.json(parts.describe()));

  const showClock = (c: Context) => c.json({ now: clock.now().toISOString() });
  app.get('/clock', showClock);
  app.put('/clock', async (c) => {
    const wanted = clockSchema.safeParse(await body(c));
    if (!wanted.success)
      throw invalid(
        'The clock takes { "now": "2027-01-31T00:00:00Z" }, { "advanceMs": 60000 } or { "running": false }.',
      );
    if ('now' in wanted.data) await clock.set(new Date(wanted.data.now));
    else if ('advanceMs' in wanted.data) await clock.advance(wanted.data.advanceMs);
    else if (wanted.data.running) clock.start();
    else clock.stop();
    return showClock(c);
  });

  app.post('/faults', async (c) => {
    const fault = (await body(c)) as Fault;
    const remove = faults.inject(fault);
    const id = (faultCount += 1);
    removals.set(id, remove);
    return c.json({ id, ...fault }, 201);
  });
  app.delete('/faults/:id', (c) => {
    const id = Number(c.req.param('id'));
    removals.get(id)?.();
    removals.delete(id);
    return c.body(null, 204);
  });
  app.delete('/faults', (c) => {
    faults.clear();
    removals.clear();
    return c.body(null, 204);
  });

  app.get('/identities', (c) => c.json(identities.list().map(shown)));
  app.post('/identities', async (c) => {
    return c.json(shown(identities.add((await body(c)) as NewIdentity)), 201);
  });
  app.post('/identities/:name/workload', async (c) =>
    c.json(await identities.get(c.req.param('name')).workloadEnvironment(), 201),
  );
  app.post('/identities/:name/roles', async (c) => {
    identities.assign(c.req.param('name'), (await body(c)) as NewRoleAssignment);
    return c.body(null, 204);
  });
  app.delete('/identities/:name/roles', async (c) => {
    identities.unassign(c.req.param('name'), (await body(c)) as NewRoleAssignment);
    return c.body(null, 204);
  });

  app.get('/subscriptions', (c) => c.json(subscriptions.list()));
  app.post('/subscriptions', async (c) =>
    c.json(await subscriptions.add((await body(c)) as NewSubscription), 201),
  );
  app.delete('/subscriptions/:name', (c) => {
    subscriptions.remove(c.req.param('name'));
    return c.body(null, 204);
  });
  app.get('/dead-letters', (c) => c.json(subscriptions.deadLetters()));

  app.get('/audit', (c) => c.json(audit.events()));

  app.notFound((c) =>
    c.json(
      { error: 'There are /clock, /faults, /identities, /subscriptions, /dead-letters and /audit here.' },
      404,
    ),
  );
  app.onError((error, c) => {
    if (error instanceof EmulatorError) return c.json({ error: error.message }, 400);
    return c.json({ error: 'The emulator failed to serve this request.' }, 500);
  });
  return app;
}

function shown({
  name,
  systemAssigned,
  clientId,
  objectId,
  resourceId,
  environment,
  imdsUrl,
}: IdentityAccess) {
  return { name, systemAssigned, clientId, objectId, resourceId, environment, imdsUrl };
}

async function body(c: Context): Promise<unknown> {
  try {
    return await c.req.json();
  } catch {
    throw invalid('The request body is not JSON.');
  }
}

const invalid = (message: string): EmulatorError => new EmulatorError('OPTIONS_INVALID', message);
