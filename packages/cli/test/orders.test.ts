import { userInfo } from 'node:os';
import { PassThrough } from 'node:stream';
import type { RotationStatus } from '@keyturn/rotator';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requestCommand } from '../src/commands/request.ts';
import { at, convergingRotation } from '../../rotator/test/fakes/operations.ts';
import { ran, startRotator, startSignedInRotator, type RotatorAtWork } from './rotator-at-work.ts';

const id = 'orders-db@1f3c00';
const me = `local:${userInfo().username}`;
let rotator: RotatorAtWork;

function put(status: RotationStatus): void {
  const { rotationStates, secretStates } = rotator.operations;
  rotationStates.unshift(status);
  if (status.endedAt !== undefined) return;
  secretStates.set(status.secret, { secret: status.secret, source: 'postgres', open: status });
}

beforeEach(async () => {
  rotator = await startRotator();
});
afterEach(() => rotator.stop());

describe('an order', () => {
  it.each([
    ['proceed', 'proceed'],
    ['rollback', 'roll back'],
    ['abort', 'abort'],
    ['approve', 'approve'],
  ])(
    'keyturn %s is recorded with who and why, by id or by the name of the secret',
    async (command, order) => {
      put(convergingRotation());
      for (const named of [id, 'orders-db']) {
        const { code, out, err } = await ran([command, named, '--why', 'It’s idle', '--url', rotator.url]);
        expect({ code, out, err }).toEqual({ code: 0, out: `${id}: ${order} is recorded\n`, err: '' });
      }
      const { orders } = await rotator.operations.rotation(id);
      expect(orders).toEqual(Array.from({ length: 2 }, () => ({ order, who: me, why: 'It’s idle', at })));
    },
  );

  it('without a reason is not given', async () => {
    put(convergingRotation());
    const { code, err } = await ran(['abort', id, '--url', rotator.url]);
    expect(code).toBe(2);
    expect(err).toContain("required option '--why <text>' not specified");
    expect((await ran(['abort', id, '--why', ' ', '--url', rotator.url])).code).toBe(2);
    expect((await rotator.operations.rotation(id)).orders).toEqual([]);
  });

  it('is answered with 14 where no rotation is open, with 2 where there never was one', async () => {
    put(convergingRotation({ state: 'closed', endedAt: at }));
    const why = ['--why', 'a', '--url', rotator.url];
    const ended = await ran(['proceed', id, ...why]);
    expect(ended).toMatchObject({ code: 14, out: '', err: `keyturn: The rotation ${id} has ended.\n` });
    const byName = await ran(['proceed', 'orders-db', ...why]);
    expect(byName.code).toBe(14);
    expect(byName.err).toContain('No rotation of orders-db is open.');
    expect((await ran(['proceed', 'orders-db@ff', ...why])).code).toBe(2);
  });

  it('is answered with 13 where somebody else has to give it', async () => {
    await ran(['request', 'billing-db', '--why', 'leaver', '--url', rotator.url]);
    const { code, err } = await ran(['approve', 'billing-db', '--why', 'fine', '--url', rotator.url]);
    expect(code).toBe(13);
    expect(err).toContain('may not approve it.\n  hint: Somebody else');
  });

  it('prints JSON if asked to', async () => {
    put(convergingRotation());
    const { out } = await ran(['rollback', id, '--why', 'a', '--json', '--url', rotator.url]);
    expect(JSON.parse(out)).toEqual({ id, order: 'roll back' });
  });
});

describe('keyturn request', () => {
  it('starts a rotation at the rotator, or joins the one that is open and says whose it is', async () => {
    const args = ['request', 'billing-db', '--compromised', '--url', rotator.url];
    const first = await ran([...args, '--why', 'leaked']);
    expect(first).toMatchObject({ code: 0, out: `billing-db@2a: running, requested by ${me}: leaked\n` });
    const second = await ran([...args, '--why', 'again', '--json']);
    expect(JSON.parse(second.out)).toMatchObject({ requested: { why: 'leaked', compromised: true } });
  });
});

describe('keyturn request --compromised', () => {
  const breaks = ['orders-api: 1 of 3 instances are not to be seen', '3 connected instances\u001B[2J'];
  const notChecked = ['sessions of the old credential: no answer'];
  const args = () => ['request', 'billing-db', '--compromised', '--why', 'leaked', '--url', rotator.url];

  it('says before what it is going to break, and goes on where nobody can be asked', async () => {
    rotator.operations.foreseen.set('billing-db', { secret: 'billing-db', breaks, notChecked });
    const { code, out, err } = await ran(args());
    expect(err).toBe(
      [
        'billing-db: ending its credential at once breaks',
        '  orders-api: 1 of 3 instances are not to be seen',
        '  3 connected instances?[2J',
        '  not checked: sessions of the old credential: no answer',
        '',
      ].join('\n'),
    );
    expect({ code, out }).toEqual({ code: 0, out: `billing-db@2a: running, requested by ${me}: leaked\n` });
  });

  it('says that it joins what is open, and that nothing is known to break', async () => {
    const foreseen = { secret: 'billing-db', breaks: [], notChecked: [], joins: 'billing-db@2a' };
    rotator.operations.foreseen.set('billing-db', foreseen);
    const { err } = await ran(args());
    expect(err).toContain('billing-db@2a is open: it is joined as it is, and becomes no emergency\n');
    expect(err).toContain('breaks nothing that is known\n');
  });

  it('goes on where that can’t be told', async () => {
    rotator.operations.foresee = () => Promise.reject(new Error('Pa55'));
    const { code, err } = await ran(args());
    expect(code).toBe(0);
    expect(err).toContain('breaks is not known: The rotator met an unexpected error');
  });

  it.each([
    ['y\n', [], 0, 1],
    ['YES\n', [], 0, 1],
    ['\n', [], 3, 0],
    ['no\n', [], 3, 0],
    ['', [], 3, 0],
    ['', ['--yes'], 0, 1],
  ] as const)('at a terminal, after %j with %j, ends with %i', async (typed, more, code, requests) => {
    rotator.operations.foreseen.set('billing-db', { secret: 'billing-db', breaks, notChecked });
    const text = { out: '', err: '' };
    const to = (where: 'out' | 'err') =>
      Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: true }).on(
        'data',
        (chunk: string) => (text[where] += chunk),
      ) as unknown as NodeJS.WriteStream;
    const input = Object.assign(new PassThrough(), { isTTY: true });
    input.end(typed);
    const ended = await requestCommand(
      'billing-db',
      { url: rotator.url, why: 'leaked', compromised: true, json: false, yes: more.length > 0 },
      { out: to('out'), err: to('err') },
      input as unknown as NodeJS.ReadStream,
    );
    expect(ended).toBe(code);
    expect(rotator.operations.rotationStates).toHaveLength(requests);
    expect(text.err).toContain('not to be seen');
    expect(text.err.includes('Go on? [y/N]')).toBe(more.length === 0);
  });
});

describe('keyturn history', () => {
  const outcome = {
    id,
    secret: 'orders-db',
    outcome: 'closed',
    version: '88cc69aa',
    revokedVersion: '1f3c00',
    oldCredentialRefused: true,
    overlapMs: 130_000,
    convergedMs: 120_000,
    notChecked: ['sessions at the source'],
  } as const;

  it('tells newest first who asked and why, the overlap, the outcome and every order', async () => {
    const orders = [{ order: 'proceed', who: 'bob', why: 'it is idle', at }] as const;
    put(convergingRotation({ state: 'closed', endedAt: at, outcome, orders }));
    put(
      convergingRotation({
        id: 'billing-db@2a',
        secret: 'billing-db',
        from: '2a',
        requested: { who: 'eve\u001B[2J', why: 'leaver', at, compromised: true },
      }),
    );
    const { code, out } = await ran(['history', '--url', rotator.url]);
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toEqual([
      'requested          secret      from    to      outcome  overlap  who                why',
      '2026-11-23 10:00Z  billing-db  2a      88cc69  running  –        eve?[2J            compromised: leaver',
      '2026-11-23 10:00Z  orders-db   1f3c00  88cc69  closed   2m       alice@example.com  quarterly',
      '  2026-11-23 10:00Z  proceed by bob: it is idle',
      '  not checked: sessions at the source',
    ]);
  });

  it('tells of one secret, as many as asked for, and the whole as JSON', async () => {
    put(convergingRotation({ id: 'billing-db@2a', secret: 'billing-db' }));
    put(convergingRotation({ id: 'orders-db@00', endedAt: at }));
    put(convergingRotation());
    const args = ['history', 'orders-db', '--limit', '1', '--json', '--url', rotator.url];
    const { out } = await ran(args);
    expect(JSON.parse(out)).toEqual({ rotations: [convergingRotation()] });
    expect((await ran(['history', '--limit', '0', '--url', rotator.url])).code).toBe(2);
    expect((await ran(['history', 'nobody', '--url', rotator.url])).code).toBe(2);
  });
});

describe('where the rotator asks for a token', () => {
  it('one is got as the managed identity of this machine, and its name is recorded', async () => {
    const scene = await startSignedInRotator('operator');
    try {
      rotator = scene.rotator;
      put(convergingRotation());
      const args = ['proceed', 'orders-db', '--why', 'a', '--url', scene.rotator.url];
      const { code, err } = await ran(args, scene.environment);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      const { orders } = await scene.rotator.operations.rotation(id);
      expect(orders).toMatchObject([{ who: 'deployer', id: 'id-deployer' }]);
      expect(new Set(scene.resources)).toEqual(new Set(['api://keyturn']));
    } finally {
      await scene.close();
    }
  });

  it('a role that is missing ends it with 13', async () => {
    const scene = await startSignedInRotator('viewer');
    try {
      const args = ['request', 'orders-db', '--why', 'a', '--url', scene.rotator.url];
      const { code, err } = await ran(args, scene.environment);
      expect(code).toBe(13);
      expect(err).toContain('deployer needs the role operator and has viewer.');
    } finally {
      await scene.close();
    }
  });

  it('none is got for another’s application unless the caller names it, and none at all where there is none', async () => {
    const asked = 'https://vault.azure.net/.default';
    const auth = {
      signIn: true,
      identify: async () =>
        ({
          code: 'NOT_SIGNED_IN',
          detail: 'A token is needed.',
          headers: { 'www-authenticate': `Bearer scope="${asked}"` },
        }) as const,
    };
    const scene = await startSignedInRotator('viewer');
    const impostor = await startRotator({ auth });
    try {
      const { code, err } = await ran(['status', '--url', impostor.url], scene.environment);
      expect(code).toBe(13);
      expect(err).toContain(`--scope ${asked}`);
      expect(scene.resources).toEqual([]);
      await ran(['status', '--url', impostor.url, '--scope', asked], scene.environment);
      expect(scene.resources).not.toEqual([]);

      const nowhere = { ...scene.environment, IDENTITY_ENDPOINT: 'http://127.0.0.1:9/msi/token' };
      const none = await ran(['status', '--url', scene.rotator.url], nowhere);
      expect(none.code).toBe(13);
      expect(none.err).toContain('No token for api://keyturn/.default is to be had here.');
    } finally {
      await impostor.stop();
      await scene.close();
    }
  });
});
