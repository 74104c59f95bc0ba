import { readFileSync } from 'node:fs';
import { SecretValue } from '@keyturn/source';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { noticeOf } from '../src/notify/notice.ts';
import { cloudEvent, type CloudEvent } from '../src/notify/cloud-event.ts';
import { eventKinds, isForPeople, type EventKind } from '../src/notify/event-kinds.ts';
import { factsOf } from '../src/notify/facts.ts';
import type { Notice } from '../src/notify/notice.ts';
import { slackMessage } from '../src/notify/slack.ts';
import { signatureHeaders } from '../src/notify/standard-webhooks.ts';
import { teamsMessage } from '../src/notify/teams.ts';
import { at, held, outcome, rejected, rotation, standing, started, vault } from './notices.ts';

function eventOf(
  notice: Notice,
  telling: { readonly rollingBack?: boolean; readonly reminder?: number } = {},
): CloudEvent | undefined {
  const facts = factsOf(notice);
  return facts && cloudEvent(facts, { vault, rollingBack: false, reminder: 0, ...telling });
}

const failure = { code: 'VAULT_FORBIDDEN', message: 'The vault answered 403.', hint: 'Grant the role.' };
const oneOfEach: Record<EventKind, Notice> = {
  started,
  phase: { kind: 'phase', phase: 'issue', rotation, at },
  straggler: standing(['orders/web-1']),
  converged: standing([]),
  retrying: { kind: 'retrying', phase: 'issue', message: 'no answer', nextInMs: 500, rotation, at },
  held,
  rejected,
  rolledBack: { kind: 'ended', at, outcome: { ...outcome, outcome: 'rolled back' } },
  closed: { kind: 'ended', at, outcome },
  failed: { kind: 'failed', at, rotation, failure },
  approvalWanted: { kind: 'approval wanted', at, rotation, requestedBy: 'ann@example.com' },
  drifted: { kind: 'drifted', at, secret: 'orders-db', version: 'v1', findings: ['b lives'] },
  expired: { kind: 'expired', at, secret: 'orders-db', version: 'v1' },
};
const kinds = Object.keys(eventKinds) as EventKind[];

describe('CloudEvents', () => {
  it('tell a rotation that is held with all that a CloudEvent needs', () => {
    expect(eventOf(held)).toEqual({
      specversion: '1.0',
      id: expect.stringMatching(/^keyturn_[0-9a-f]{32}$/),
      source: vault,
      type: 'keyturn.rotation.held',
      subject: 'orders-db',
      time: at,
      datacontenttype: 'application/json',
      data: { rotation, secret: 'orders-db', from: 'v1', stragglers: ['orders/web-1'], stragglerCount: 1 },
    });
  });

  it.each(kinds)('of kind %s come of what was reported', (kind) => {
    expect(eventOf(oneOfEach[kind])).toMatchObject({ type: eventKinds[kind].type, subject: 'orders-db' });
  });

  it('of all kinds are in the table for users, with who hears of them', () => {
    const table = readFileSync(new URL('../../../docs/notifications.md', import.meta.url), 'utf8');
    const rows = table.split('\n').filter((line) => line.startsWith('| `keyturn.'));
    const listed = rows.map((row) => row.split('|').map((cell) => cell.trim()));
    expect(listed.map(([, type, audience]) => [type, audience])).toEqual(
      kinds.map((kind) => [`\`${eventKinds[kind].type}\``, eventKinds[kind].audience]),
    );
  });

  it('are for people where people can do something, and only there', () => {
    expect(kinds.filter((kind) => isForPeople(kind))).toEqual([
      'held',
      'rejected',
      'rolledBack',
      'failed',
      'approvalWanted',
      'drifted',
      'expired',
    ]);
  });

  it('tell people of a good end only where they were alarmed before', () => {
    expect([isForPeople('closed'), isForPeople('closed', true), isForPeople('phase', true)]).toEqual([
      false,
      true,
      false,
    ]);
  });

  it('have the same id when the same thing is reported again after a crash', () => {
    const later = { ...held, at: '2026-01-01T05:00:00.000Z', stragglers: [] };
    expect(eventOf(later)?.id).toBe(eventOf(held)?.id);
  });

  it('have ids of their own for another kind, phase, secret, version, way and reminder', () => {
    const events = [
      ...kinds.map((kind) => eventOf(oneOfEach[kind])),
      eventOf({ ...oneOfEach.phase, phase: 'prove' } as Notice),
      eventOf({ ...held, rotation: 'orders-db@v2' }),
      eventOf({ ...held, rotation: 'stock-db@v1' }),
      eventOf(held, { rollingBack: true }),
      eventOf(held, { reminder: 1 }),
    ];
    expect(new Set(events.map((event) => event?.id)).size).toBe(events.length);
  });

  it('call nobody a straggler while the shortest safe time has not passed', () => {
    expect(eventOf(standing(['orders/web-1'], 30))).toBeUndefined();
  });

  it('name the first of many stragglers, and how many there are', () => {
    const many = Array.from({ length: 5_000 }, (_, index) => `orders/web-${index}`);
    const event = eventOf({ ...held, stragglers: many });
    expect(event?.data.stragglerCount).toBe(5_000);
    expect(event?.data.stragglers).toHaveLength(20);
    expect(JSON.stringify(event).length).toBeLessThan(2_000);
  });

  it('hold no field that nobody named, so that what is added to a record does not get out by itself', () => {
    const smuggling: Notice = Object.assign({ ...held }, { note: 's3cret' });
    expect(JSON.stringify(eventOf(smuggling))).not.toContain('s3cret');
  });

  it('cut and clean the names that other processes chose', () => {
    const stragglers = [`web\u001b[2J\u202e\n${'x'.repeat(500)}`];
    const [name = ''] = eventOf({ ...held, stragglers })?.data.stragglers ?? [];
    expect(name).toMatch(/^web\?\[2J\?\?x+…$/);
    expect(name).toHaveLength(200);
  });
});

describe('the signature of a webhook', () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const body = '{"test": 2432232314}';

  it('is the one of the published example', () => {
    const signed = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', at: 1_614_265_330_000, body };
    expect(signatureHeaders(signed, [new SecretValue(secret)])).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('is taken by the library of the standard, and not for another body or secret', () => {
    const headers = signatureHeaders({ id: 'a', at: Date.now(), body }, [new SecretValue(secret)]);
    expect(new Webhook(secret).verify(body, headers)).toEqual({ test: 2_432_232_314 });
    expect(() => new Webhook(secret).verify(`${body} `, headers)).toThrow('No matching signature');
    expect(() => new Webhook(other).verify(body, headers)).toThrow('No matching signature');
  });

  it('is taken with the old and with the new secret while the secret is being rotated', () => {
    const both = [other, secret].map((text) => new SecretValue(text));
    const headers = signatureHeaders({ id: 'a', at: Date.now(), body }, both);
    for (const known of [secret, other])
      expect(new Webhook(known).verify(body, headers)).toEqual({ test: 2_432_232_314 });
  });

  it.each(['whsec_c2hvcnQ=', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'whsec_!!!'])(
    'is not made with what is no signing secret (%s), and the error does not show it',
    (text) => {
      const sign = () => signatureHeaders({ id: 'a', at: 0, body }, [new SecretValue(text)]);
      expect(sign).toThrow(expect.objectContaining({ message: expect.not.stringContaining(text.slice(6)) }));
    },
  );
});

/** Whatever an instance, a database or a configuration may call itself. */
const hostile = [
  '<!channel>',
  '<@U012AB3CD>',
  '<https://evil.example|click>',
  '[click](https://evil.example)',
  '*bold* _it_ `code`',
  '<at>everyone</at>',
  '{{DATE(2026-01-01T00:00:00Z)}}',
  '&lt;!channel&gt;',
];

function textsIn(json: unknown, key: string): string[] {
  if (Array.isArray(json)) return json.flatMap((one) => textsIn(one, key));
  if (typeof json !== 'object' || json === null) return [];
  return Object.entries(json).flatMap(([name, value]) =>
    name === key && typeof value === 'string' ? [value] : textsIn(value, key),
  );
}

describe('a message to Slack', () => {
  it('says what happened, who keeps it open and that nothing is broken', () => {
    expect(slackMessage(eventOf(held)!)).toEqual({
      text: 'orders-db: the rotation is held. The deadline has passed and the old credential is still in use. Both credentials work. The rotation goes on by itself when everyone uses the new version.',
      unfurl_links: false,
      unfurl_media: false,
      blocks: [
        {
          type: 'header',
          text: { type: 'plain_text', text: 'orders-db: the rotation is held', emoji: false },
        },
        {
          type: 'section',
          text: { type: 'plain_text', text: expect.stringContaining('Both credentials work'), emoji: false },
        },
        {
          type: 'section',
          fields: [
            { type: 'mrkdwn', text: '*Vault*' },
            { type: 'plain_text', text: vault, emoji: false },
            { type: 'mrkdwn', text: '*Rotation*' },
            { type: 'plain_text', text: rotation, emoji: false },
            { type: 'mrkdwn', text: '*Keeping it open*' },
            { type: 'plain_text', text: 'orders/web-1', emoji: false },
          ],
        },
      ],
    });
  });

  it.each(hostile)('can not be made to mention or link by a name (%s)', (name) => {
    const message = slackMessage(eventOf({ ...held, rotation: `${name}@v1`, stragglers: [name] })!);
    const markup = textsIn(message, 'text').filter((text) => /[<>]|&(?!amp;|lt;|gt;)/.test(text));
    expect(markup).toEqual([]);
    const formatted = JSON.stringify(message).match(/"mrkdwn","text":"[^"]*"/g);
    expect(formatted?.join()).not.toContain(name.slice(0, 6));
  });

  it.each(kinds)('stays within what Slack takes, also where all is long (%s)', (kind) => {
    const event = eventOf(oneOfEach[kind])!;
    const long = '<'.repeat(1_000);
    const data = { ...event.data, reason: long, hint: long, notChecked: Array(50).fill(long) };
    const { blocks } = slackMessage({ ...event, data: { ...data, secret: long } });
    for (const block of blocks) {
      const {
        type,
        text,
        fields = [],
      } = block as {
        type: string;
        text?: { text: string };
        fields?: { text: string }[];
      };
      expect(text?.text.length ?? 1).toBeLessThanOrEqual(type === 'header' ? 150 : 3_000);
      expect(fields.length).toBeLessThanOrEqual(10);
      for (const field of fields) {
        expect(field.text.length).toBeGreaterThan(0);
        expect(field.text.length).toBeLessThanOrEqual(2_000);
        expect(field.text).not.toMatch(/&[a-z]{0,2}…$/);
      }
    }
  });
});

describe('a message to Teams', () => {
  it('is an Adaptive Card, as Workflows takes it', () => {
    expect(teamsMessage(eventOf({ ...rejected, reason: 'no login' })!)).toEqual({
      type: 'message',
      attachments: [
        {
          contentType: 'application/vnd.microsoft.card.adaptive',
          contentUrl: null,
          content: {
            $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
            type: 'AdaptiveCard',
            version: '1.4',
            msteams: { width: 'Full' },
            body: [
              {
                type: 'RichTextBlock',
                inlines: [
                  {
                    type: 'TextRun',
                    text: 'orders-db: the new version is rejected',
                    size: 'Large',
                    weight: 'Bolder',
                    color: 'attention',
                  },
                ],
              },
              {
                type: 'RichTextBlock',
                inlines: [
                  {
                    type: 'TextRun',
                    text: 'It is being taken back: the old value becomes current again.',
                  },
                ],
              },
              ...[
                ['Vault: ', vault],
                ['Rotation: ', rotation],
                ['Why: ', 'no login'],
              ].map(([label, value]) => ({
                type: 'RichTextBlock',
                inlines: [
                  { type: 'TextRun', text: label, weight: 'Bolder' },
                  { type: 'TextRun', text: value },
                ],
              })),
            ],
          },
        },
      ],
    });
  });

  it.each(hostile)('shows a name as it is, where nothing is markup (%s)', (name) => {
    const message = teamsMessage(eventOf({ ...held, stragglers: [name] })!);
    const json = JSON.stringify(message);
    expect(textsIn(message, 'text')).toContain(name.replace('{{', '{ {'));
    expect(textsIn(message, 'type')).not.toContain('TextBlock');
    expect(textsIn(message, 'type')).not.toContain('FactSet');
    expect(json).not.toContain('"entities"');
    expect(json).not.toContain('{{');
  });

  it('stays below the 28 KB that Teams takes', () => {
    const long = '😀'.repeat(500);
    const stragglers = Array(5_000).fill(long);
    const event = eventOf({ ...held, stragglers })!;
    const data = { ...event.data, reason: long, hint: long, notChecked: Array(50).fill(long) };
    expect(Buffer.byteLength(JSON.stringify(teamsMessage({ ...event, data })))).toBeLessThan(28_000);
  });
});

describe('what is told of a record', () => {
  const about = { rotation, at };
  const request = { who: 'ann', why: 'it is time', at };

  it.each([
    [{ ...about, kind: 'failed', code: 'SOURCE', message: 'No.', hint: 'Ask.' }, 'failed'],
    [{ ...about, kind: 'awaiting approval', request }, 'approval wanted'],
    [{ ...about, kind: 'alarm', reason: 'it has expired' }, 'expired'],
    [{ ...about, kind: 'held', stragglers: [] }, 'held'],
    [{ ...about, kind: 'requested', request }, undefined],
    [{ ...about, kind: 'emergency', breaks: [] }, undefined],
  ] as const)('%j is %s', (record, kind) => {
    expect(noticeOf(record)?.kind).toBe(kind);
  });

  it('names the secret and the version that have expired', () => {
    expect(noticeOf({ ...about, kind: 'alarm', reason: 'it has expired' })).toMatchObject({
      secret: 'orders-db',
      version: 'v1',
    });
  });
});
