import assert from 'node:assert/strict';
import type { RawAnswer } from './raw-call.ts';
import type { Subject } from './subject.ts';

// What goes over the wire, and what checks say about it again and again.

export interface Attributes {
  readonly enabled: boolean;
  readonly created: number;
  readonly updated: number;
  readonly nbf?: number;
  readonly exp?: number;
  readonly recoveryLevel: string;
  readonly recoverableDays: number;
}

export interface Bundle {
  readonly id: string;
  readonly value?: string;
  readonly contentType?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly attributes: Attributes;
  readonly recoveryId?: string;
  readonly deletedDate?: number;
  readonly scheduledPurgeDate?: number;
}

export interface ListPage {
  readonly value: readonly Bundle[];
  readonly nextLink: string | null;
}

/** The secret in an answer, which must be 200. */
export function bundleIn(answer: RawAnswer): Bundle {
  assert.equal(answer.status, 200, `expected 200, got ${answer.status}`);
  assert.equal(typeof (answer.body as Bundle | undefined)?.id, 'string', 'the answer has an id');
  return answer.body as Bundle;
}

export function pageIn(answer: RawAnswer): ListPage {
  assert.equal(answer.status, 200, `expected 200, got ${answer.status}`);
  assert.ok(Array.isArray((answer.body as ListPage | undefined)?.value), 'the answer has a list');
  return answer.body as ListPage;
}

/** Asserts that a call was refused with exactly this status and error. */
export function assertRefused(
  answer: RawAnswer,
  expected: {
    readonly status: number;
    readonly code: string;
    readonly inner?: string;
    readonly message?: string;
  },
): void {
  const { error } = (answer.body ?? {}) as {
    error?: { code?: string; message?: string; innererror?: { code?: string } };
  };
  assert.deepEqual(
    {
      status: answer.status,
      code: error?.code,
      ...('inner' in expected ? { inner: error?.innererror?.code } : {}),
      ...('message' in expected ? { message: error?.message } : {}),
    },
    expected,
  );
}

/** Asserts that the client library reports a refusal, with the code inside where it hands it out. */
export async function assertRejected(
  call: Promise<unknown>,
  expected: { readonly status: number; readonly code: string; readonly inner?: string },
): Promise<void> {
  const error = (await call.then(
    () => assert.fail('the call went through'),
    (reason: unknown) => reason,
  )) as {
    statusCode?: number;
    code?: string;
    details?: { error?: { innerError?: { code?: string } } };
  };
  // What isn't an answer of the vault says more itself than its missing status.
  if (error.statusCode === undefined) throw error;
  assert.deepEqual(
    {
      status: error.statusCode,
      code: error.code,
      ...('inner' in expected ? { inner: error.details?.error?.innerError?.code } : {}),
    },
    expected,
  );
}

/** Sets a secret and returns the answer's bundle. */
export async function set(vault: Subject, name: string, body: object): Promise<Bundle> {
  return bundleIn(await vault.call('PUT', `/secrets/${name}`, { body }));
}

export async function get(vault: Subject, name: string, version = ''): Promise<Bundle> {
  return bundleIn(await vault.call('GET', `/secrets/${name}/${version}`));
}

export const versionOf = ({ id }: Pick<Bundle, 'id'>): string => id.split('/')[5] ?? '';

/** Every entry of a list, through all of its pages. */
export async function listed(vault: Subject, path: string): Promise<Bundle[]> {
  const found: Bundle[] = [];
  for await (const page of pages(vault, path)) found.push(...page.value);
  return found;
}

export async function* pages(vault: Subject, path: string): AsyncGenerator<ListPage> {
  let next: string | null = path;
  // A list whose links lead in a circle fails instead of going on for ever.
  for (let count = 0; next !== null; count += 1) {
    assert.ok(count < 1_000, 'the list comes to an end');
    const page: ListPage = pageIn(await vault.call('GET', next));
    yield page;
    next = page.nextLink;
    assert.notEqual(next, undefined, 'a page without a next one has nextLink null');
  }
}

/** Deletes a secret and waits until it is among the deleted ones. */
export async function deleted(vault: Subject, name: string): Promise<void> {
  const poller = await vault.client.beginDeleteSecret(name, { intervalInMs: vault.pollMs });
  await poller.pollUntilDone();
}

/** Recovers a deleted secret and waits until it is back. */
export async function recovered(vault: Subject, name: string): Promise<void> {
  const poller = await vault.client.beginRecoverDeletedSecret(name, { intervalInMs: vault.pollMs });
  await poller.pollUntilDone();
}
