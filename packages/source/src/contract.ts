import assert from 'node:assert/strict';
import { contractCases } from './contract-cases.ts';
import type { CredentialRef, Source } from './source.ts';
import type { SourceUnderTest } from './source-under-test.ts';

export type { HeldSession, SourceUnderTest } from './source-under-test.ts';

/** The four functions of a test runner that the suite needs: those of vitest, mocha or node:test. */
export interface Runner {
  readonly describe: (name: string, define: () => void) => void;
  readonly it: (name: string, run: () => Promise<void>) => void;
  readonly beforeEach: (run: () => Promise<void>) => void;
  readonly afterEach: (run: () => Promise<void>) => void;
}

/**
 * The suite that every source passes: the comments of `Source`, as tests. `open` makes a real source, with one live
 * credential, for each case.
 *
 * @example
 * import { afterEach, beforeEach, describe, it } from 'vitest';
 * sourceContract('postgres', openPostgres, { describe, it, beforeEach, afterEach });
 */
export function sourceContract(name: string, open: () => Promise<SourceUnderTest>, runner: Runner): void {
  runner.describe(`${name} keeps the contract of a source`, () => {
    let world: SourceUnderTest;
    runner.beforeEach(async () => {
      world = await open();
    });
    runner.afterEach(() => world.close());
    for (const [sentence, run] of Object.entries(contractCases)) {
      runner.it(sentence, async () => run({ ...world, current: await theOnlyOne(world.source) }));
    }
  });
}

async function theOnlyOne(source: Source): Promise<CredentialRef> {
  const [only, ...others] = await source.list();
  assert.ok(only !== undefined && others.length === 0, 'A case must begin with exactly one live credential.');
  return only;
}
