import { request as plainRequest, type IncomingMessage } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RotationRecord } from '../src/events.ts';
import type { RotationStatus, SecretStatus } from '../src/operations.ts';
import { RotatorError } from '../src/rotator-error.ts';
import { apiRoutes, type ApiOptions } from '../src/server/api-routes.ts';
import { problemDetails, rotationStatus, secretStatus } from '../src/server/api-schemas.ts';
import { listen, type Listening } from '../src/server/listen.ts';
import { localAuth } from '../src/server/local-auth.ts';
import { at, convergingRotation, openMemoryOperations, type MemoryOperations } from './fakes/operations.ts';

const id = 'orders-db@1f3c00';
const inUrl = encodeURIComponent(id);
let operations: MemoryOperations;
let listening: Listening;
let unexpected: unknown[];

beforeEach(async () => {
  operations = openMemoryOperations();
  operations.rotationStates.push(convergingRotation());
  unexpected = [];
  await serve();
});
afterEach(() => listening.close());

async function serve(changes: Partial<ApiOptions> = {}): Promise<void> {
  const app = apiRoutes({
    operations,
    auth: localAuth(),
    heartbeatMs: 20,
    unexpected: (error) => unexpected.push(error),
    ...changes,
  });
  listening = await listen(app, { host: '127.0.0.1', port: 0 });
}

function get(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${listening.url}${path}`, init);
}

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return get(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-keyturn-user': 'alice', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function refusal(response: Response): Promise<{ status: number; code: string; detail: string }> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const { status, code, detail } = problemDetails.parse(await response.json());
  expect(status).toBe(response.status);
  return { status, code, detail };
}

describe('what stands', () => {
  it('is told of every secret, of one, of rotations and of one', async () => {
    expect(await (await get('/v1/secrets')).json()).toEqual({ secrets: await operations.secrets() });
    expect(await (await get('/v1/secrets/orders-db')).json()).toEqual(await operations.secret('orders-db'));
    expect(await (await get('/v1/rotations')).json()).toEqual({ rotations: operations.rotationStates });
    expect(await (await get(`/v1/rotations/${inUrl}`)).json()).toEqual(convergingRotation());
    expect(await (await get(`/v1/rotations/${id}`)).json()).toEqual(convergingRotation());
  });

  it('is told what an emergency is going to break', async () => {
    const foreseen = {
      secret: 'orders-db',
      breaks: ['orders-api: 1 of 3 instances are not to be seen'],
      notChecked: ['sessions of the old credential: no answer'],
      joins: id,
    };
    operations.foreseen.set('orders-db', foreseen);
    expect(await (await get('/v1/secrets/orders-db/emergency')).json()).toEqual(foreseen);
    expect((await get('/v1/secrets/nobody/emergency')).status).toBe(404);
  });

  it('is told of one secret’s rotations, as many as are asked for', async () => {
    operations.rotationStates.push(convergingRotation({ id: 'billing-db@2a', secret: 'billing-db' }));
    operations.rotationStates.push(convergingRotation({ id: 'orders-db@00' }));
    const ids = async (query: string) => {
      const { rotations } = (await (await get(`/v1/rotations${query}`)).json()) as {
        rotations: RotationStatus[];
      };
      return rotations.map((one) => one.id);
    };
    expect(await ids('?secret=orders-db')).toEqual([id, 'orders-db@00']);
    expect(await ids('?limit=2')).toEqual([id, 'billing-db@2a']);
  });

  it('has a story, oldest first', async () => {
    const events: RotationRecord[] = [{ kind: 'phase', phase: 'preflight', rotation: id, at }];
    operations.stories.set(id, events);
    expect(await (await get(`/v1/rotations/${inUrl}/story`)).json()).toEqual({ events });
  });

  it('is described by schemas that know every field', () => {
    const by = { who: 'alice', why: 'quarterly', id: 'id-alice' };
    const rotation: Required<RotationStatus> = {
      ...(convergingRotation() as Required<RotationStatus>),
      requested: { ...by, at, compromised: true },
      orders: [{ ...by, order: 'approve', at }],
      endedAt: at,
      verdicts: [{ check: 'clock', passed: 'not checked', why: 'why', stragglers: ['one'] }],
      instances: [
        { consumer: 'c', instance: 'i', version: 'v', held: ['u'], refused: { v: 1 }, authenticatedAt: at },
      ],
      outcome: {
        id,
        secret: 'orders-db',
        outcome: 'closed',
        version: 'v',
        revokedVersion: 'u',
        oldCredentialRefused: true,
        overlapMs: 1,
        convergedMs: 1,
        notChecked: [],
      },
      failure: { code: 'SOURCE', message: 'm', hint: 'h' },
    };
    const secret: Required<SecretStatus> = {
      secret: 'orders-db',
      source: 'postgres',
      version: 'v',
      createdAt: at,
      expiresAt: at,
      dueAt: at,
      dueBecause: 'the schedule says so',
      open: rotation,
      last: rotation,
      failure: { message: 'm', hint: 'h', nextAttemptAt: at },
    };
    expect(secretStatus.strict().parse(secret)).toEqual(secret);
    expect(rotationStatus.strict().parse(rotation)).toEqual(rotation);
  });
});

describe('an operator', () => {
  it('starts a rotation, and is recorded with the reason', async () => {
    const response = await post('/v1/rotations', {
      secret: 'billing-db',
      why: ' leaver ',
      compromised: true,
    });
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe('/v1/rotations/billing-db%402a');
    const started = (await response.json()) as RotationStatus;
    expect(started.requested).toEqual({ who: 'local:alice', why: 'leaver', at, compromised: true });
    expect(await operations.rotation('billing-db@2a')).toEqual(started);
  });

  it.each(['proceed', 'roll back', 'abort'])('orders to %s', async (order) => {
    const response = await post(`/v1/rotations/${inUrl}/orders`, { order, why: 'the last one is idle' });
    expect(response.status).toBe(204);
    const { orders } = await operations.rotation(id);
    expect(orders).toEqual([{ order, who: 'local:alice', why: 'the last one is idle', at }]);
  });

  it('of whom nothing is known is recorded as unknown, and no control character with any name', async () => {
    for (const name of ['', 'b%0Aob%1B[2J', '%E0%A4%A'])
      await post(`/v1/rotations/${inUrl}/approval`, { why: 'seen' }, { 'x-keyturn-user': name });
    const { orders } = await operations.rotation(id);
    expect(orders.map(({ who }) => who)).toEqual(['local:unknown', 'local:bob[2J', 'local:%E0%A4%A']);
  });

  it('may not approve what they asked for', async () => {
    await post('/v1/rotations', { secret: 'billing-db', why: 'leaver' });
    const response = await post('/v1/rotations/billing-db%402a/approval', { why: 'fine' });
    expect(await refusal(response)).toMatchObject({ status: 403, code: 'NOT_ALLOWED' });
  });
});

describe('a refusal', () => {
  const orders = `/v1/rotations/${inUrl}/orders`;
  it.each<[string, () => Promise<Response>, number, string, RegExp]>([
    ['an unknown route', () => get('/v1/secret'), 404, 'UNKNOWN_ROUTE', /\/v1\/secret/],
    ['a wrong method', () => get('/v1/secrets', { method: 'DELETE' }), 405, 'WRONG_METHOD', /GET only/],
    ['an unknown secret', () => get('/v1/secrets/nobody'), 404, 'UNKNOWN_SECRET', /nobody/],
    ['a secret that can’t be', () => get('/v1/secrets/a%2Fb'), 400, 'INVALID_REQUEST', /name.*secret name/],
    ['an unknown rotation', () => get('/v1/rotations/orders-db%40ff'), 404, 'UNKNOWN_ROTATION', /@ff/],
    ['an id that is none', () => get('/v1/rotations/orders-db'), 400, 'INVALID_REQUEST', /id.*SECRET@/],
    ['a broken escape', () => get('/v1/rotations/%E0%A4%A'), 400, 'INVALID_REQUEST', /id/],
    ['too high a limit', () => get('/v1/rotations?limit=1001'), 400, 'INVALID_REQUEST', /limit.*1000/],
    ['an unknown filter', () => get('/v1/rotations?sercet=a'), 400, 'INVALID_REQUEST', /sercet/],
    ['no JSON', () => post(orders, '{"order"'), 400, 'INVALID_REQUEST', /not JSON/],
    ['no body', () => post(orders, ''), 400, 'INVALID_REQUEST', /not JSON/],
    [
      'no reason',
      () => post(orders, { order: 'abort', why: '  ' }),
      400,
      'INVALID_REQUEST',
      /why: must say why/,
    ],
    ['two lines', () => post(orders, { order: 'abort', why: 'a\nb' }), 400, 'INVALID_REQUEST', /one line/],
    ['an unknown order', () => post(orders, { order: 'stop', why: 'a' }), 400, 'INVALID_REQUEST', /order/],
    [
      'a misspelt field',
      () => post('/v1/rotations', { secret: 'orders-db', why: 'a', compromise: true }),
      400,
      'INVALID_REQUEST',
      /compromise/,
    ],
    ['too long a body', () => post(orders, { why: 'a'.repeat(20_000) }), 413, 'TOO_LARGE', /16 KiB/],
    [
      'a form of another site',
      () => post(orders, '{}', { 'content-type': 'text/plain' }),
      415,
      'NOT_JSON',
      /text\/plain/,
    ],
  ])('of %s says so', async (_what, ask, status, code, detail) => {
    expect(await refusal(await ask())).toEqual({ status, code, detail: expect.stringMatching(detail) });
    expect((await operations.rotation(id)).orders).toEqual([]);
  });

  it('of a wrong method names the right ones', async () => {
    expect((await get('/v1/rotations', { method: 'PUT' })).headers.get('allow')).toBe('GET, POST');
  });

  it('of an order that comes too late says so', async () => {
    operations.rotationStates[0] = convergingRotation({ state: 'closed', endedAt: at });
    expect(await refusal(await post(orders, { order: 'abort', why: 'a' }))).toMatchObject({
      status: 409,
      code: 'NOT_OPEN',
    });
  });

  it('tells the message and the hint of an error of ours', async () => {
    operations.secrets = () =>
      Promise.reject(new RotatorError('JOURNAL', 'The journal is away.', { hint: 'Start it.' }));
    const response = await get('/v1/secrets');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ detail: 'The journal is away.', hint: 'Start it.' });
    expect(unexpected).toEqual([]);
  });

  it('tells nothing of any other error, neither text nor stack; only the rotator is told', async () => {
    const error = new Error('password=hunter2');
    operations.secrets = () => Promise.reject(error);
    const response = await get('/v1/secrets');
    const text = await response.clone().text();
    expect(await refusal(response)).toMatchObject({ status: 500, code: 'UNEXPECTED' });
    expect(text).not.toMatch(/hunter2|\.ts|node:/);
    expect(unexpected).toEqual([error]);
  });
});

describe('a load balancer', () => {
  it('is told that the process lives and whether it is ready, under whatever name it asks', async () => {
    expect((await askAs({ host: '10.1.2.3' }, '/healthz')).status).toBe(200);
    expect(await askAs({ host: '10.1.2.3' }, '/readyz')).toEqual({
      status: 200,
      body: { ready: true, problems: [] },
    });
    operations.problems.push('the journal is away');
    expect(await askAs({}, '/readyz')).toEqual({
      status: 503,
      body: { ready: false, problems: ['the journal is away'] },
    });
    operations.ready = () => Promise.reject(new Error('password=hunter2'));
    const response = await askAs({}, '/readyz');
    expect(response.status).toBe(503);
    expect(JSON.stringify(response.body)).not.toContain('hunter2');
  });
});

describe('without an issuer of tokens', () => {
  it.each([
    ['a page whose name was pointed here', { host: 'evil.example:7420' }],
    ['a name that only begins like this machine’s', { host: '127.0.0.1.evil.example' }],
    ['a proxy', { 'x-forwarded-for': '203.0.113.7' }],
  ])('%s is refused', async (_what, headers) => {
    expect(await askAs(headers, '/v1/secrets')).toMatchObject({ status: 403, body: { code: 'NOT_LOCAL' } });
  });

  it.each(['localhost:7420', '127.0.0.1', '[::1]:7420'])('%s is this machine', async (host) => {
    expect((await askAs({ host }, '/v1/secrets')).status).toBe(200);
  });

  it('another machine is refused, whatever name it asks for', async () => {
    const auth = localAuth();
    const asking = { header: (name: string) => (name === 'host' ? 'localhost' : undefined) };
    expect(await auth.identify({ ...asking, peer: '10.0.0.9', role: 'viewer' })).toMatchObject({
      code: 'NOT_LOCAL',
    });
    expect(await auth.identify({ ...asking, peer: '::ffff:127.0.0.1', role: 'viewer' })).toHaveProperty(
      'roles',
    );
  });

  it('instances of a trusted network may report, and do nothing else', async () => {
    const auth = localAuth({ instancesFrom: 'network' });
    const asking = { header: () => 'rotator.internal', peer: '10.0.0.9' };
    const caller = await auth.identify({ ...asking, role: 'application' });
    expect(caller).toMatchObject({ roles: new Set(['application']) });
    expect(await auth.identify({ ...asking, role: 'operator' })).toMatchObject({ code: 'NOT_LOCAL' });
  });
});

/** Asks with headers that `fetch` doesn't let anybody set. */
async function askAs(
  headers: Record<string, string>,
  path: string,
): Promise<{ status: number | undefined; body: unknown }> {
  const request = plainRequest(`${listening.url}${path}`, { headers }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, body: JSON.parse(text) };
}

describe('a stream of events', () => {
  const record: RotationRecord = { kind: 'phase', phase: 'publish', rotation: id, at };

  async function connect() {
    const ending = new AbortController();
    const response = await get('/v1/events', { signal: ending.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    return {
      response,
      async until(sought: RegExp): Promise<string> {
        while (!sought.test(text)) {
          const part = await reader?.read();
          if (!part || part.done) throw new Error(`The stream ended without ${sought}: ${text}`);
          text += part.value;
        }
        const found = text;
        text = '';
        return found;
      },
      close: () => ending.abort(),
    };
  }

  /** Waits for something that the server does after the connection has ended. */
  async function eventually(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  it('tells everyone who is connected every event, with heartbeats in between', async () => {
    const both = [await connect(), await connect()];
    for (const one of both) await one.until(/: connected\n\n/);
    operations.emit(record);
    for (const one of both) {
      expect(await one.until(/event.*: beat\n\n/s)).toContain(
        `event: rotation\ndata: ${JSON.stringify(record)}\n\n`,
      );
      expect(one.response.headers.get('content-type')).toBe('text/event-stream');
      one.close();
    }
  });

  it('watches the rotator once, and only while somebody reads', async () => {
    expect(operations.watchers.size).toBe(0);
    const both = [await connect(), await connect()];
    expect(operations.watchers.size).toBe(1);
    for (const one of both) one.close();
    await eventually(() => operations.watchers.size === 0);
    const again = await connect();
    expect(operations.watchers.size).toBe(1);
    again.close();
  });

  it('is not opened by whoever asks for its head only', async () => {
    const response = await get('/v1/events', { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(operations.watchers.size).toBe(0);
  });

  it('is refused when as many are open as may be', async () => {
    await listening.close();
    await serve({ mostStreams: 1 });
    const one = await connect();
    await one.until(/connected/);
    expect(await refusal(await get('/v1/events'))).toMatchObject({ status: 503, code: 'TOO_MANY_STREAMS' });
    one.close();
  });

  it('cuts off whoever reads too slowly, and goes on for the others', async () => {
    await listening.close();
    await serve({ longestQueueBytes: 256 * 1024, heartbeatMs: 60_000, mostStreams: 2 });
    const { port } = new URL(listening.url);
    const slow = connectSocket(Number(port), '127.0.0.1');
    slow.on('error', () => undefined);
    slow.write('GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(slow, 'readable'); // from here on it reads no more
    const quick = await connect();
    await quick.until(/connected/);

    const closed = once(slow, 'close');
    const long: RotationRecord = { kind: 'rejected', reason: 'x'.repeat(64 * 1024), rotation: id, at };
    let next = await get('/v1/events');
    let emitted = 0;
    for (; next.status === 503 && emitted < 1_000; emitted += 1) {
      operations.emit(long);
      await quick.until(/rejected.*\n\n/s);
      if (emitted % 20 === 0) next = await get('/v1/events');
    }
    expect(next.status).toBe(200); // the place of the slow one is free
    await next.body?.cancel();
    slow.resume();
    await closed;
    operations.emit(record);
    await quick.until(/"publish"/);
    quick.close();
  });
});
