import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Hono } from 'hono';
import { generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import type { Announcements } from '../src/fleet/announcements.ts';
import type { Registry } from '../src/fleet/registry.ts';
import type { AdoptionReport } from '../src/fleet/report.ts';
import { requireRole, roles, type ApiEnvironment, type Role } from '../src/server/api-auth.ts';
import { apiRoutes } from '../src/server/api-routes.ts';
import { entraAuth } from '../src/server/entra-auth.ts';
import { fleetRoutes } from '../src/server/fleet-routes.ts';
import { listen, type Listening } from '../src/server/listen.ts';
import { openSetClock, type SetClock } from './fakes/clock.ts';
import { audience, startIssuer, type Issuer } from './fakes/issuer.ts';
import { convergingRotation, openMemoryOperations, type MemoryOperations } from './fakes/operations.ts';

let clock: SetClock;
let issuer: Issuer;
let operations: MemoryOperations;
let reports: AdoptionReport[];
let listening: Listening;

beforeAll(async () => {
  issuer = await startIssuer({ now: () => clock.now() });
});
afterAll(() => issuer.close());
beforeEach(async () => {
  clock = openSetClock(Date.UTC(2026, 10, 23));
  operations = openMemoryOperations();
  operations.rotationStates.push(convergingRotation());
  reports = [];
  await serve();
});
afterEach(() => listening.close());

/** Nothing is ever announced. */
const announcements: Announcements = {
  announce: async () => undefined,
  standing: () => undefined,
  subscribe: () => () => undefined,
  close: () => undefined,
};

async function serve(consumers?: Record<string, readonly string[]>): Promise<void> {
  const registry: Registry = {
    settledAt: 0,
    instances: async () => [],
    record: async (report) => void reports.push(report),
  };
  const app = apiRoutes({
    operations,
    auth: entraAuth({ issuer: issuer.url, audience, clock, ...(consumers ? { consumers } : {}) }),
    fleet: fleetRoutes({
      announcements,
      registry,
      heartbeatMs: 1_000,
      secretsOf: () => ['orders-db'],
      watches: () => false,
    }),
  });
  listening = await listen(app, { host: '127.0.0.1', port: 0 });
}

const alice = { preferred_username: 'alice@example.com', oid: 'id-alice', tid: 'tenant' };

/** Asks, and lets go of what is answered: some answers are streams. */
async function ask(
  path: string,
  { token, method = 'get', body }: { token?: string; method?: string; body?: unknown } = {},
): Promise<{ status: number; code?: string; detail?: string; challenge: string | null }> {
  const response = await fetch(`${listening.url}${path}`, {
    method: method.toUpperCase(),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(method === 'get' ? {} : { 'content-type': 'application/json' }),
    },
    ...(method === 'get' ? {} : { body: JSON.stringify(body ?? {}) }),
  });
  const challenge = response.headers.get('www-authenticate');
  const told = { status: response.status, challenge };
  if (response.headers.get('content-type') === 'application/problem+json')
    return { ...told, ...((await response.json()) as { code: string; detail: string }) };
  await response.body?.cancel();
  return told;
}

/** Who may use which route. A route that is not in this table, or no longer there, fails the tests. */
const allowed: Readonly<Record<string, readonly Role[] | 'everybody'>> = {
  'get /v1/secrets': ['viewer', 'operator', 'approver'],
  'get /v1/secrets/{name}': ['viewer', 'operator', 'approver'],
  'get /v1/secrets/{name}/emergency': ['operator'],
  'get /v1/rotations': ['viewer', 'operator', 'approver'],
  'get /v1/rotations/{id}': ['viewer', 'operator', 'approver'],
  'get /v1/rotations/{id}/story': ['viewer', 'operator', 'approver'],
  'get /v1/events': ['viewer', 'operator', 'approver'],
  'post /v1/rotations': ['operator'],
  'post /v1/rotations/{id}/orders': ['operator'],
  'post /v1/rotations/{id}/approval': ['approver'],
  'get /v1/announcements': ['application'],
  'post /v1/adoption': ['application'],
  'get /openapi.json': 'everybody',
  'get /healthz': 'everybody',
  'get /readyz': 'everybody',
};

interface Documented {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { security: unknown[]; 'x-keyturn-role': string }>>>
  >;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

async function documented(): Promise<Documented> {
  return (await (await fetch(`${listening.url}/openapi.json`)).json()) as Documented;
}

describe('the OpenAPI document', () => {
  it('has every route of the table of roles, and no other', async () => {
    const { paths } = await documented();
    const found = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(found.toSorted()).toEqual(Object.keys(allowed).toSorted());
  });

  it('refers only to schemas that it has', async () => {
    const document = await documented();
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w*)"/g)];
    expect(references.length).toBeGreaterThan(10);
    for (const [, id] of references) expect(Object.keys(document.components.schemas)).toContain(id);
  });

  it('is the table of routes in the documentation', async () => {
    const page = await readFile(new URL('../../../docs/api.md', import.meta.url), 'utf8');
    const rows = [...page.matchAll(/^\| `(GET|POST) ([^`?]+)[^`]*` \| (\w+) \|/gm)];
    const { paths } = await documented();
    const roleOf = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, route]) => [
        `${method.toUpperCase()} ${path}`,
        route['x-keyturn-role'],
      ]),
    );
    expect(Object.fromEntries(rows.map(([, method, path, role]) => [`${method} ${path}`, role]))).toEqual(
      Object.fromEntries(roleOf),
    );
  });

  it('says which routes need a token', async () => {
    const { paths } = await documented();
    for (const [route, who] of Object.entries(allowed)) {
      const [method = '', path = ''] = route.split(' ');
      expect(paths[path]?.[method]?.security, route).toEqual(who === 'everybody' ? [] : [{ entra: [] }]);
    }
  });
});

describe.each(Object.entries(allowed))('%s', (route, who) => {
  const [method = '', template = ''] = route.split(' ');
  const path = template.replace('{name}', 'orders-db').replace('{id}', 'orders-db%401f3c00');

  it.each(roles)(
    `with the role %s is ${who === 'everybody' ? 'open' : `for ${who.join(', ')}`}`,
    async (role) => {
      const token = await issuer.sign({ ...alice, roles: [role] });
      const { status, code } = await ask(path, { token, method });
      if (who === 'everybody' || who.includes(role)) expect([200, 204, 400]).toContain(status);
      else expect({ status, code }).toEqual({ status: 403, code: 'ROLE_MISSING' });
    },
  );

  it(`without a token is ${who === 'everybody' ? 'open' : 'closed'}`, async () => {
    const { status, challenge } = await ask(path, { method });
    expect(status).toBe(who === 'everybody' ? 200 : 401);
    expect(challenge).toBe(
      who === 'everybody' ? null : 'Bearer realm="keyturn", scope="api://keyturn/.default"',
    );
  });

  if (who === 'everybody') return;
  it('with a token without any role of ours is closed', async () => {
    for (const held of [undefined, [], ['Operator', 'admin'], 'operator', { operator: true }]) {
      const token = await issuer.sign({ ...alice, roles: held });
      expect(await ask(path, { token, method })).toMatchObject({ status: 403, code: 'ROLE_MISSING' });
    }
  });
});

describe('a token', () => {
  const viewer = { ...alice, roles: ['viewer'] };

  it.each<[string, () => Promise<string>, RegExp]>([
    ['of another issuer', () => issuer.sign(viewer, { issuer: 'https://sts.windows.net/other/' }), /\(iss\)/],
    ['for somebody else', () => issuer.sign(viewer, { audience: 'https://vault.azure.net' }), /\(aud\)/],
    ['that has expired', () => issuer.sign(viewer, { expires: clock.now() / 1000 - 61 }), /has expired/],
    ['that never expires', () => issuer.sign(viewer, { expires: 'never' }), /no valid claim exp/],
    ['signed by somebody else', () => signedElsewhere({ exp: 4e9 }, { issuer: issuer.url }), /not signed/],
    [
      'signed with a key of no name',
      () => signedElsewhere({ exp: 4e9 }, { issuer: issuer.url, kid: 'two' }),
      /not/,
    ],
    ['without a signature', async () => unsecured(), /not signed/],
    ['that is none', async () => 'abc', /not signed/],
  ])('%s is refused', async (_what, sign, detail) => {
    const token = await sign();
    const refused = await ask('/v1/secrets', { token });
    expect(refused).toMatchObject({ status: 401, code: 'TOKEN_REFUSED' });
    expect(refused.detail).toMatch(detail);
    expect(refused.detail).not.toContain(token);
    expect(refused.challenge).toContain('error="invalid_token"');
  });

  function signedElsewhere(claims: object, { issuer: iss, kid = 'one' }: { issuer: string; kid?: string }) {
    return generateKeyPair('RS256').then(({ privateKey }) =>
      new SignJWT({ ...viewer, ...claims })
        .setProtectedHeader({ alg: 'RS256', kid })
        .setIssuer(iss)
        .setAudience(audience)
        .sign(privateKey),
    );
  }

  function unsecured(): string {
    return new UnsecuredJWT({ ...viewer, exp: 4e9 }).setIssuer(issuer.url).setAudience(audience).encode();
  }

  it('says who orders: by name for people, and by an id that stays', async () => {
    const callers = [
      [{ preferred_username: 'alice@example.com', upn: 'x', oid: 'o1' }, 'alice@example.com', 'o1'],
      [{ upn: 'bob@example.com', appid: 'x', oid: 'o2' }, 'bob@example.com', 'o2'],
      [{ appid: 'app-1', oid: 'o3' }, 'app-1', 'o3'],
      [{ azp: 'app-2', oid: 'o4' }, 'app-2', 'o4'],
      [{ oid: 'o5' }, 'o5', 'o5'],
      [{ upn: 'e\u001B[2Jve', oid: 'o6' }, 'e[2Jve', 'o6'],
    ] as const;
    for (const [claims] of callers) {
      const token = await issuer.sign({ ...claims, roles: ['operator'] });
      const body = { order: 'proceed', why: 'seen' };
      const { status } = await ask('/v1/rotations/orders-db%401f3c00/orders', {
        token,
        method: 'post',
        body,
      });
      expect(status).toBe(204);
    }
    const { orders } = await operations.rotation('orders-db@1f3c00');
    expect(orders.map(({ who, id }) => [who, id])).toEqual(callers.map(([, who, id]) => [who, id]));
  });

  it('of one person is the same person under another name', async () => {
    const renamed = { preferred_username: 'alice.smith@example.com', oid: 'id-alice', roles: ['approver'] };
    const ordered = { token: await issuer.sign(renamed), method: 'post', body: { why: 'fine' } };
    expect(await ask('/v1/rotations/orders-db%401f3c00/approval', ordered)).toMatchObject({
      status: 403,
      code: 'NOT_ALLOWED',
    });
  });

  it('is checked with keys that are fetched once', async () => {
    const before = issuer.fetched;
    for (let times = 0; times < 3; times += 1)
      expect((await ask('/v1/secrets', { token: await issuer.sign(viewer) })).status).toBe(200);
    expect(issuer.fetched).toBe(before + 1);
  });

  it('can’t be checked while the issuer is away, which is told apart from a bad one, and passes', async () => {
    const token = await issuer.sign(viewer);
    issuer.healthy = false;
    const refused = await ask('/v1/secrets', { token });
    issuer.healthy = true;
    expect(refused).toMatchObject({ status: 503, code: 'KEYS_UNREACHABLE' });
    expect((await ask('/v1/secrets', { token })).status).toBe(200);
  });
});

describe('an application', () => {
  const report = (consumer: string) => ({ consumer, instance: 'one', secrets: [] });
  const token = () => issuer.sign({ azp: 'app-orders', oid: 'o9', roles: ['application'] });

  it('reports for any consumer where none is mapped', async () => {
    const sent = { token: await token(), method: 'post', body: report('billing') };
    expect((await ask('/v1/adoption', sent)).status).toBe(204);
    expect(reports.map(({ consumer }) => consumer)).toEqual(['billing']);
  });

  it.each(['app-orders', 'o9'])('reports for its own consumer only, mapped by %s', async (key) => {
    await listening.close();
    await serve({ [key]: ['orders-api'] });
    for (const [consumer, status] of [
      ['orders-api', 204],
      ['billing', 403],
    ] as const) {
      const sent = { token: await token(), method: 'post', body: report(consumer) };
      expect((await ask('/v1/adoption', sent)).status).toBe(status);
    }
    expect(reports.map(({ consumer }) => consumer)).toEqual(['orders-api']);
    expect((await ask('/v1/announcements?consumer=orders-api', { token: await token() })).status).toBe(200);
    expect(await ask('/v1/announcements?consumer=billing', { token: await token() })).toMatchObject({
      code: 'WRONG_CONSUMER',
    });
    expect((await ask('/v1/announcements', { token: await token() })).status).toBe(403);
  });

  it('that is not mapped reports for nobody, whatever it is called', async () => {
    await listening.close();
    await serve({ other: ['orders-api'] });
    for (const azp of ['app-orders', 'constructor', '__proto__']) {
      const sent = { token: await issuer.sign({ azp, roles: ['application'] }), method: 'post' };
      expect((await ask('/v1/adoption', { ...sent, body: report('orders-api') })).status).toBe(403);
    }
  });

  it('can’t have a report read that is too long', async () => {
    await listening.close();
    await serve({ 'app-orders': ['orders-api'] });
    const body = { ...report('orders-api'), more: 'x'.repeat(65 * 1024) };
    expect(await ask('/v1/adoption', { token: await token(), method: 'post', body })).toMatchObject({
      status: 413,
      code: 'TOO_LARGE', // before the fleet's own routes read it
    });
  });
});

it('a role may be asked for in front of any other route', async () => {
  const app = new Hono<ApiEnvironment>();
  const auth = entraAuth({ issuer: issuer.url, audience, clock });
  app.get('/mine', requireRole(auth, 'application'), (context) => context.text(context.get('caller').who));
  const say = async (role: Role) => {
    const authorization = `Bearer ${await issuer.sign({ azp: 'app-1', roles: [role] })}`;
    return app.request('/mine', { headers: { authorization } });
  };
  expect(await (await say('application')).text()).toBe('app-1');
  expect((await say('operator')).status).toBe(403);
});

const tenant = '11111111-2222-3333-4444-555555555555';
const foreign = '99999999-2222-3333-4444-555555555555';
const versionOne = (id: string) => `https://sts.windows.net/${id}/`;
const versionTwo = (id: string) => `https://login.microsoftonline.com/${id}/v2.0`;

describe.each([
  { form: 'version 1.0', configured: versionOne(tenant) },
  { form: 'version 2.0', configured: versionTwo(tenant) },
])('a tenant that is configured by its issuer of $form', ({ configured }) => {
  const identified = async (iss: string) => {
    const auth = entraAuth({ issuer: configured, audience, jwksUrl: `${issuer.url}/keys`, clock });
    const token = await issuer.sign({ ...alice, roles: ['viewer'] }, { issuer: iss });
    return auth.identify({ header: () => `Bearer ${token}`, peer: undefined, role: 'viewer' });
  };

  it('is believed in both versions of its tokens', async () => {
    expect(await identified(versionOne(tenant))).toMatchObject({ who: 'alice@example.com' });
    expect(await identified(versionTwo(tenant))).toMatchObject({ who: 'alice@example.com' });
  });

  it('is not mistaken for another tenant, in either version', async () => {
    const refusal = { code: 'TOKEN_REFUSED', detail: 'The token comes from another issuer (iss).' };
    expect(await identified(versionOne(foreign))).toMatchObject(refusal);
    expect(await identified(versionTwo(foreign))).toMatchObject(refusal);
  });
});
