import { SecretValue } from '@keyturn/source';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CloudEvent } from '../src/notify/cloud-event.ts';
import type { Target } from '../src/notify/deliver.ts';
import type { Notice } from '../src/notify/notice.ts';
import { openNotifier, type Notifier, type NotifierOptions } from '../src/notify/notifier.ts';
import type { NotifierReport } from '../src/notify/target-queue.ts';
import { openSetClock, type SetClock } from './fakes/clock.ts';
import { openReceiver, secretPath, type Received, type Receiver } from './fakes/receiver.ts';
import { at, held, outcome, rejected, rotation, standing, started, vault } from './notices.ts';

const hourMs = 3_600_000;
const signingSecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

let clock: SetClock;
let receiver: Receiver;
let other: Receiver;
let lines: NotifierReport[];
let notifier: Notifier;

beforeEach(async () => {
  clock = openSetClock();
  lines = [];
  [receiver, other] = await Promise.all([openReceiver(), openReceiver()]);
});
afterEach(async () => {
  await notifier.close();
  await Promise.all([receiver.close(), other.close()]);
});

function open(targets: readonly Target[], more: Partial<NotifierOptions> = {}): void {
  const report = (line: NotifierReport) => void lines.push(line);
  notifier = openNotifier({ vault, targets, clock, random: () => 0.5, report, ...more });
}

function webhook(
  to: Pick<Receiver, 'url'> = receiver,
  more: { readonly name?: string; readonly secrets?: readonly string[] } = {},
): Target {
  const { name = 'hook', secrets = [signingSecret] } = more;
  const signingSecrets = async () => secrets.map((text) => new SecretValue(text));
  return { name, format: 'webhook', url: to.url, signingSecrets };
}

function slack(to: Pick<Receiver, 'url'> = receiver): Target {
  return { name: 'slack', format: 'slack', url: to.url };
}

const nothing: Received = { path: '', headers: {}, body: '' };

function heldIn(secret: string): Notice {
  return { ...held, rotation: `${secret}@v1` };
}

function eventsAt({ received }: Receiver): CloudEvent[] {
  return received.map(({ body }) => JSON.parse(body) as CloudEvent);
}

function typesAt(to: Receiver): string[] {
  return eventsAt(to).map(({ type }) => type.replace('keyturn.rotation.', ''));
}

describe('a webhook', () => {
  it('is signed so that the library of the standard takes it', async () => {
    clock = openSetClock(Date.now()); // the library knows no clock but the real one
    open([webhook()]);
    notifier.notify(held);
    await notifier.idle();
    const [{ body, headers } = nothing] = receiver.received;
    expect(headers['content-type']).toBe('application/cloudevents+json; charset=utf-8');
    expect(headers['webhook-id']).toBe(eventsAt(receiver)[0]?.id);
    const event = new Webhook(signingSecret).verify(body, headers as Record<string, string>);
    expect(event).toMatchObject({ specversion: '1.0', type: 'keyturn.rotation.held', data: { rotation } });
  });

  it('bears the signatures of both secrets while its secret is rotated', async () => {
    const fresh = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
    open([webhook(receiver, { secrets: [fresh, signingSecret] })]);
    notifier.notify(held);
    await notifier.idle();
    expect(receiver.received[0]?.headers['webhook-signature']).toMatch(/^v1,\S{44} v1,\S{44}$/);
  });

  it('hears everything, and Slack only what a person should know of', async () => {
    open([webhook(), slack(other)]);
    for (const notice of [started, standing(['orders/web-1']), held, rejected]) notifier.notify(notice);
    await notifier.idle();
    expect(typesAt(receiver)).toEqual(['started', 'straggler', 'held', 'rejected']);
    expect(other.received.map(({ body }) => JSON.parse(body).blocks[0].text.text)).toEqual([
      'orders-db: the rotation is held',
      'orders-db: the new version is rejected',
    ]);
  });
});

it('Slack hears of a good end where it heard of trouble before, and of no other', async () => {
  open([slack()]);
  for (const notice of [held, { kind: 'ended', at, outcome } as const]) notifier.notify(notice);
  notifier.notify({ kind: 'ended', at, outcome: { ...outcome, id: 'quiet@v1' } });
  await notifier.idle();
  expect(receiver.received.map(({ body }) => JSON.parse(body).blocks[0].text.text)).toEqual([
    'orders-db: the rotation is held',
    'orders-db: the rotation has closed',
  ]);
});

describe('what lasts', () => {
  it('is told once, then after 1, 4 and 24 hours and daily, however often it is looked at', async () => {
    open([webhook()]);
    const toldAfterHours: number[] = [];
    const start = clock.now();
    for (let minutes = 0; minutes <= 72 * 60; minutes += 1) {
      const before = receiver.received.length;
      notifier.notify(held);
      await notifier.idle();
      if (receiver.received.length > before) toldAfterHours.push((clock.now() - start) / hourMs);
      clock.advance(60_000);
    }
    expect(toldAfterHours).toEqual([0, 1, 4, 24, 48, 72]);
    expect(eventsAt(receiver).map(({ data }) => data.reminder)).toEqual([undefined, 1, 2, 3, 4, 5]);
    expect(new Set(eventsAt(receiver).map(({ id }) => id)).size).toBe(6);
  });

  it('is told afresh when the rotation goes back and is held on that way too', async () => {
    open([webhook()]);
    for (const notice of [held, rejected, held, held]) notifier.notify(notice);
    await notifier.idle();
    expect(typesAt(receiver)).toEqual(['held', 'rejected', 'held']);
    const [first, , second] = eventsAt(receiver);
    expect(second?.id).not.toBe(first?.id);
  });

  it('is told again by a rotator that was started anew, under the same id', async () => {
    open([webhook()]);
    notifier.notify(held);
    await notifier.idle();
    await notifier.close();
    open([webhook()]);
    clock.advance(5_000);
    notifier.notify(held);
    await notifier.idle();
    const [first, second] = eventsAt(receiver);
    expect(second?.id).toBe(first?.id);
  });

  it('of one secret says nothing about another one', async () => {
    open([webhook()]);
    for (const secret of ['a', 'b', 'a', 'b']) notifier.notify(heldIn(secret));
    await notifier.idle();
    expect(eventsAt(receiver).map(({ subject }) => subject)).toEqual(['a', 'b']);
  });

  it('is no longer remembered once the rotation has ended, and the end is told once', async () => {
    open([webhook()]);
    for (let time = 0; time < 2; time += 1) notifier.notify({ kind: 'ended', at, outcome });
    clock.advance(2 * hourMs);
    notifier.notify({ kind: 'ended', at, outcome });
    await notifier.idle();
    expect(typesAt(receiver)).toEqual(['closed']);
  });
});

describe('a target that fails', () => {
  it('is tried again with growing delays up to five minutes, in one line of log', async () => {
    const triedAt: number[] = [];
    receiver.answer = () => {
      triedAt.push(clock.now());
      return triedAt.length < 13 ? 503 : 200;
    };
    open([webhook()]);
    notifier.notify(held);
    await notifier.idle();
    const delays = triedAt.slice(1).map((time, index) => (time - (triedAt[index] ?? 0)) / 1_000);
    // Three quarters of 1, 2, 4, … 300 seconds, as `random` says, rounded up to whole naps.
    expect(delays).toEqual([1, 2, 3, 6, 12, 24, 48, 96, 192, 225, 225, 225]);
    expect(lines).toEqual([
      { kind: 'failing', target: 'hook', why: 'it answered 503' },
      { kind: 'recovered', target: 'hook', afterMs: expect.any(Number) },
    ]);
    expect(notifier.counts()).toEqual([{ target: 'hook', waiting: 0, delivered: 1, dropped: 0, gaveUp: 0 }]);
  });

  it('is signed anew at each attempt, under the same id', async () => {
    receiver.answer = () => (receiver.received.length < 3 ? 503 : 200);
    open([webhook()]);
    notifier.notify(held);
    await notifier.idle();
    const headers = receiver.received.map((one) => one.headers);
    expect(new Set(headers.map((one) => one['webhook-id'])).size).toBe(1);
    expect(new Set(headers.map((one) => one['webhook-timestamp'])).size).toBe(3);
  });

  it.each([
    ['seconds', () => '120', 120],
    ['a date', () => new Date(clock.now() + 600_000).toUTCString(), 600],
    ['more than an hour', () => '999999999999', 3_600],
  ])('is left alone for as long as its Retry-After says: %s', async (_, header, expectedSeconds) => {
    const triedAt: number[] = [];
    receiver.answer = () => {
      triedAt.push(clock.now());
      return triedAt.length === 1 ? { status: 429, headers: { 'retry-after': header() } } : 200;
    };
    open([slack()]);
    notifier.notify(held);
    await notifier.idle();
    expect(((triedAt[1] ?? 0) - (triedAt[0] ?? 0)) / 1_000).toBe(expectedSeconds);
  });

  it('is given up on after a day, with one line for all that waited', async () => {
    receiver.answer = () => 500;
    open([webhook()]);
    for (const secret of ['a', 'b', 'c']) notifier.notify(heldIn(secret));
    const start = clock.now();
    await notifier.idle();
    expect((clock.now() - start) / hourMs).toBeCloseTo(24, 1);
    expect(lines).toEqual([
      { kind: 'failing', target: 'hook', why: 'it answered 500' },
      { kind: 'gave up', target: 'hook', messages: 3, why: 'it answered 500' },
    ]);
    expect(notifier.counts()[0]).toMatchObject({ waiting: 0, gaveUp: 3 });
  });

  it('is given up on at once where the message itself is refused, and the next one goes through', async () => {
    receiver.answer = () => (receiver.received.length === 1 ? 400 : 200);
    open([slack()]);
    notifier.notify(held);
    notifier.notify(rejected);
    await notifier.idle();
    expect(receiver.received).toHaveLength(2);
    expect(lines).toEqual([
      { kind: 'gave up', target: 'slack', messages: 1, why: 'the message was refused (400)' },
    ]);
  });

  it('is not followed to where it redirects', async () => {
    const location = `http://127.0.0.1:${other.port}/elsewhere`;
    receiver.answer = () => (receiver.received.length < 4 ? { status: 307, headers: { location } } : 200);
    open([slack()]);
    notifier.notify(held);
    await notifier.idle();
    expect(other.received).toEqual([]);
    expect(lines[0]).toMatchObject({ kind: 'failing', why: 'it redirects (307), which is not followed' });
  });

  it('and does not answer is given up after the time limit', async () => {
    receiver.answer = () => (receiver.received.length < 4 ? 'none' : 200);
    open([slack()], { requestTimeoutMs: 50 });
    notifier.notify(held);
    await notifier.idle();
    expect(lines[0]).toMatchObject({ kind: 'failing', why: 'no answer within 50 ms' });
  });

  it('keeps nobody else waiting, neither who tells nor another target', async () => {
    receiver.answer = () => 'none';
    const stuck: Target = { name: 'stuck', format: 'slack', url: () => new Promise(() => {}) };
    open([slack(), stuck, webhook(other)], { requestTimeoutMs: 60_000 });
    notifier.notify(held);
    await expect.poll(() => other.received.length).toBe(1);
    expect(notifier.counts().map(({ waiting }) => waiting)).toEqual([1, 1, 0]);
  });

  it('gets the messages of one rotation in their order, and those of another one meanwhile', async () => {
    const refused = new Set<string>();
    receiver.answer = ({ body }) => {
      const { subject, type, id } = JSON.parse(body) as CloudEvent;
      const isFirst = subject === 'a' && type.endsWith('held') && !refused.has(id);
      if (isFirst) refused.add(id);
      return isFirst ? 500 : 200;
    };
    open([webhook()]);
    notifier.notify(heldIn('a'));
    notifier.notify({ ...rejected, rotation: 'a@v1' });
    notifier.notify(heldIn('b'));
    await notifier.idle();
    const order = eventsAt(receiver).map(({ subject, type }) => `${subject} ${type.split('.').at(-1)}`);
    expect(order).toEqual(['a held', 'b held', 'a held', 'a rejected']);
  });
});

describe('when too much waits', () => {
  it('the oldest that is only for machines goes first, and then the oldest', async () => {
    const gate = Promise.withResolvers<SecretValue>();
    open([webhook({ url: () => gate.promise })], { mostWaiting: 3 });
    notifier.notify(heldIn('under-way'));
    await Promise.resolve();
    await Promise.resolve(); // the worker has begun with the first one
    notifier.notify({ ...started, rotation: 'machines@v1' });
    for (const secret of ['a', 'b', 'c']) notifier.notify(heldIn(secret));
    gate.resolve(await receiver.url());
    await notifier.idle();
    expect(eventsAt(receiver).map(({ subject }) => subject)).toEqual(['under-way', 'b', 'c']);
    expect(notifier.counts()[0]).toMatchObject({ dropped: 2, delivered: 3 });
    expect(lines).toEqual([{ kind: 'dropping', target: 'hook', most: 3 }]);
  });

  it('memory stays bounded through a flood to a target that is down', async () => {
    open([webhook({ url: () => new Promise(() => {}) })], { requestTimeoutMs: 60_000 });
    for (let index = 0; index < 20_000; index += 1) notifier.notify(heldIn(`secret-${index}`));
    expect(notifier.counts()[0]).toMatchObject({ waiting: 1_000, dropped: 19_000 });
    expect(lines).toHaveLength(1);
  });
});

describe('the URL of a webhook is a secret', () => {
  const hidden = 's3cretHookPath';
  const said = () => JSON.stringify(lines) + JSON.stringify(notifier.counts());

  it.each([
    ['an answer that says no', () => receiver.url(), () => 404, 'it answered 404'],
    [
      'a redirect',
      () => receiver.url(),
      (): { status: number; headers: Record<string, string> } => ({
        status: 302,
        headers: { location: secretPath },
      }),
      'it redirects (302), which is not followed',
    ],
    [
      'nobody listening',
      () => other.close().then(() => other.url()),
      () => 200,
      'the request failed (ECONNREFUSED)',
    ],
    [
      'a user name in it',
      async () => new SecretValue(`https://me:pw@host${secretPath}`),
      () => 200,
      'its URL holds a user name or a password',
    ],
    ['no URL', async () => new SecretValue(`host ${secretPath}`), () => 200, 'its URL is not a URL'],
    [
      'no TLS',
      async () => new SecretValue(`http://hooks.example${secretPath}`),
      () => 200,
      'its URL does not begin with https://',
    ],
    [
      'a vault that fails',
      () => Promise.reject(new Error(`no ${secretPath}`)),
      () => 200,
      'its URL could not be read',
    ],
  ])('and is never told: %s', async (_, url, answer, why) => {
    receiver.answer = answer;
    open([{ name: 'slack', format: 'slack', url }]);
    notifier.notify(held);
    await notifier.idle();
    expect(lines.map((line) => ('why' in line ? line.why : ''))).toEqual([
      expect.stringContaining(why),
      expect.stringContaining(why),
    ]);
    expect(said()).not.toContain(hidden);
    expect(said()).not.toContain('127.0.0.1');
  });

  it('and so is the signing secret, also where it is of no use', async () => {
    open([webhook(receiver, { secrets: ['whsec_s3cret'] })]);
    notifier.notify(held);
    await notifier.idle();
    expect(receiver.received).toEqual([]);
    expect(lines.at(-1)).toMatchObject({ why: expect.stringContaining('its signing secret is not') });
    expect(said()).not.toContain('s3cret');
  });

  it('and is read afresh for every attempt, so that a new one is taken up by itself', async () => {
    receiver.answer = () => 404;
    open([
      { name: 'slack', format: 'slack', url: () => (receiver.received.length < 2 ? receiver : other).url() },
    ]);
    notifier.notify(held);
    await notifier.idle();
    expect(other.received).toHaveLength(1);
  });
});

it('closing ends what is under way, and says how much is lost', async () => {
  receiver.answer = () => 'none';
  open([slack()], { requestTimeoutMs: 60_000 });
  for (const secret of ['a', 'b']) notifier.notify(heldIn(secret));
  await expect.poll(() => receiver.received.length).toBe(1);
  await notifier.close();
  expect(lines).toEqual([{ kind: 'closed with messages left', target: 'slack', messages: 2 }]);
  notifier.notify(heldIn('c'));
  expect(notifier.counts()[0]?.waiting).toBe(2);
});

it('a rotation is named in full by what is told of it', async () => {
  open([webhook()]);
  notifier.notify({ kind: 'ended', at, outcome });
  await notifier.idle();
  expect(eventsAt(receiver)[0]?.data).toEqual({
    rotation,
    secret: 'orders-db',
    from: 'v1',
    version: 'v2',
    revokedVersion: 'v1',
    overlapSeconds: 61.5,
    oldCredentialRefused: true,
    notChecked: [],
  });
});
