import assert from 'node:assert/strict';
import { thrownBy } from './contract-errors.ts';
import type { SecretValue } from './secret-value.ts';
import { SourceError } from './source-error.ts';
import type { CredentialRef, Source } from './source.ts';
import type { HeldSession } from './source-under-test.ts';

export async function assertRefused(source: Source, value: SecretValue): Promise<void> {
  const error = await thrownBy(() => source.prove(value));
  assert.equal(codeOf(error), 'REFUSED');
}

export async function assertLive(source: Source, expected: readonly CredentialRef[]): Promise<void> {
  assert.deepEqual((await source.list()).toSorted(), expected.toSorted(), 'list names something else');
}

/** A source that can't tell who uses a credential says so, and then nothing can be counted. */
export async function assertSessions(source: Source, ref: CredentialRef, expected: number): Promise<void> {
  const usage = await source.usage(ref);
  if (usage !== 'unknown') assert.equal(usage.sessions.length, expected, 'sessions');
}

export async function eventually(
  { settleMs = 5_000 }: { settleMs?: number },
  check: () => Promise<void>,
): Promise<void> {
  const giveUpAt = performance.now() + settleMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > giveUpAt) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function closeAll(...sessions: readonly HeldSession[]): Promise<void> {
  for (const session of sessions) await session.close();
}

export function codeOf(error: unknown): string {
  return error instanceof SourceError ? error.code : kindOf(error);
}

/** Not the message: the error may be one that leaks. */
export function kindOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : typeof error;
}
