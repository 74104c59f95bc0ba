import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Check } from '../conformance/check.ts';
import { cleanUp } from '../conformance/clean-up.ts';
import { connectionTo, emulatedSubjects, startVariant } from '../conformance/emulated.ts';
import type { RawAnswer } from '../conformance/raw-call.ts';
import { runChecks } from '../conformance/runner.ts';
import { createSubject, type Connection, type Policies, type Subject } from '../conformance/subject.ts';
import { themes } from '../conformance/themes.ts';
import { listed } from '../conformance/wire.ts';

const checks = themes.flatMap((theme) => theme.checks);

describe('the emulator conforms', () => {
  const subjects = emulatedSubjects();
  afterAll(() => subjects.close());

  describe.each(themes.map((theme) => [theme.name, theme] as const))('%s', (_name, theme) => {
    test.each(theme.checks.map((check) => [check.name, check] as const))('%s', async (_title, check) => {
      const subject = await subjects.find(check.needs);
      expect(subject, 'the emulator has what every check needs').toBeDefined();
      if (subject !== undefined) await check.run(subject);
    });
  });
});

describe('the suite', () => {
  test('it has at least 100 checks, each with a name of its own and a source', () => {
    expect(checks.length).toBeGreaterThanOrEqual(100);
    for (const theme of themes) {
      const names = theme.checks.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    }
    for (const { source } of checks) expect(source).toMatch(/^(key-vault\.md: |[ERPD]: )\S/);
  });

  test('a check without a fitting subject is skipped with the reason, never passed', async () => {
    const nothing = { name: 'nothing', find: async () => undefined, close: async () => ({ left: 0 }) };
    const needy = themes.flatMap(({ name, checks: all }) => ({
      name,
      checks: all.filter(({ needs }) => needs !== undefined),
    }));
    let count = 0;
    for await (const { outcome, message } of runChecks(needy, nothing)) {
      expect([outcome, message]).toEqual(['skipped', expect.stringMatching(/\S/)]);
      count += 1;
    }
    expect(count).toBeGreaterThan(20);
  });
});

/** Changes what a vault answers before anybody sees it. */
type Lie = (answer: { status: number; text: string }, method: string, path: string) => typeof answer;

function lying(connection: Connection, lie: Lie): Subject {
  const policy: Policies[number] = {
    position: 'perRetry',
    policy: {
      name: 'lie',
      async sendRequest(request, next) {
        const answer = await next(request);
        const truth = { status: answer.status, text: answer.bodyAsText ?? '' };
        const { status, text } = lie(truth, request.method, new URL(request.url).pathname);
        return { ...answer, status, bodyAsText: text };
      },
    },
  };
  const { subject } = createSubject({ ...connection, policies: [policy] });
  return {
    ...subject,
    async call(method, path, options) {
      const answer = await subject.call(method, path, options);
      return { ...answer, ...parsed(lie(answer, method, new URL(path, connection.url).pathname)) };
    },
  };
}

function parsed({ status, text }: { status: number; text: string }): Omit<RawAnswer, 'headers'> {
  return { status, text, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
}

/** The names of the checks that passed, and of those that failed. */
async function outcomesOf(subject: Subject, which: readonly Check[]) {
  const [passed, failed]: [string[], string[]] = [[], []];
  for (const check of which)
    await check.run(subject).then(
      () => passed.push(check.name),
      () => failed.push(check.name),
    );
  return { passed, failed };
}

describe('a vault that isn’t faithful is caught', () => {
  let emulator: Awaited<ReturnType<typeof startVariant>>;
  beforeAll(async () => {
    emulator = await startVariant('plain');
  });
  afterAll(() => emulator.close());

  const checksOf = (theme: string): readonly Check[] =>
    themes.find(({ name }) => name === theme)?.checks.filter(({ needs }) => needs === undefined) ?? [];

  const notFound = JSON.stringify({ error: { code: 'SecretNotFound', message: 'no such secret' } });

  const lies: readonly (readonly [string, string, string, Lie])[] = [
    [
      'a disabled current version is 404',
      'get, versions and the current version',
      'a disabled current version is 403 SecretDisabled, even when an older one is enabled',
      (answer) => (answer.text.includes('SecretDisabled') ? { status: 404, text: notFound } : answer),
    ],
    [
      'routing comes before the token',
      'challenge and tokens',
      'without a token a path that doesn’t exist is 401, not 404',
      (answer, _, path) => (path === '/nowhere' ? { status: 404, text: notFound } : answer),
    ],
    [
      'versions are listed by time',
      'lists',
      'versions are sorted by their id, not by time',
      (answer, _, path) =>
        path.endsWith('/versions')
          ? {
              ...answer,
              text: answer.text.replace(/"value":\[(\{.*\}),(\{"id".*\})\]/, '"value":[$2,$1]'),
            }
          : answer,
    ],
    [
      'a list of the versions of a missing name is an error',
      'lists',
      'versions of a name that doesn’t exist are an empty list, not an error',
      (answer, _, path) =>
        path.endsWith('/versions') && answer.text.includes('"value":[]')
          ? { status: 404, text: notFound }
          : answer,
    ],
    [
      'an update shows the value',
      'update',
      'the answer to an update has no value in it',
      (answer, method) =>
        method === 'PATCH' ? { ...answer, text: answer.text.replace('{', '{"value":"update-me",') } : answer,
    ],
    [
      'expired secrets are refused',
      'attributes and expiry',
      'an expired secret is still served',
      (answer, method) =>
        method === 'GET' && answer.text.includes('"exp":1577836800')
          ? { status: 403, text: notFound }
          : answer,
    ],
    [
      'the purge is scheduled for 30 days after the deletion',
      'soft delete',
      'the purge is scheduled for recoverableDays after the deletion',
      (answer) => ({
        ...answer,
        text: answer.text.replace(
          /"deletedDate":(\d+),"scheduledPurgeDate":\d+/,
          (_, at: string) => `"deletedDate":${at},"scheduledPurgeDate":${Number(at) + 30 * 86_400}`,
        ),
      }),
    ],
  ];

  test.each(lies)('when %s', async (_, theme, name, lie) => {
    const which = checksOf(theme);
    expect(which.map((check) => check.name)).toContain(name);
    const { subject } = createSubject(connectionTo(emulator));
    expect((await outcomesOf(subject, which)).passed).toContain(name);
    expect((await outcomesOf(lying(connectionTo(emulator), lie), which)).failed).toContain(name);
  });

  test('no check passes when everything is answered with 200 and nothing', async () => {
    const server = createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const nowhere = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const subject: Subject = {
      ...lying(connectionTo(emulator), () => ({ status: 200, text: '{}' })),
      call: async () => ({ status: 200, headers: {}, text: '{}', body: {} }),
      until: (what) => Promise.reject(new Error(what)),
      identity: {
        appService: { url: nowhere, header: 'x' },
        imds: nowhere,
        environment: { IDENTITY_ENDPOINT: nowhere, IDENTITY_HEADER: 'x' },
      },
    };
    try {
      const { passed, failed } = await outcomesOf(subject, checks);
      expect(passed).toEqual([]);
      expect(failed).toHaveLength(checks.length);
    } finally {
      server.close();
    }
  });

  test('what a run set is gone afterwards, deleted secrets included', async () => {
    const { subject, names } = createSubject(connectionTo(emulator));
    await outcomesOf(subject, [...checksOf('soft delete'), ...checksOf('limits and names')]);
    expect(names.length).toBeGreaterThan(10);
    expect(await cleanUp(subject, names)).toEqual({ left: 0 });
    const own = new RegExp(names.map((name) => `/${name}$`).join('|'));
    for (const path of ['/secrets', '/deletedsecrets'])
      expect((await listed(subject, path)).filter(({ id }) => own.test(id))).toEqual([]);
  });
});
