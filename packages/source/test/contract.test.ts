import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { sourceContract, type SourceUnderTest } from '@keyturn/source/contract';
import { openMemorySource, type Fault } from './memory-source.ts';

sourceContract('a source that works', async () => openMemorySource(), {
  describe,
  it,
  beforeEach,
  afterEach,
});

/** Runs the suite by hand and tells which cases failed. */
async function failingCases(open: () => Promise<SourceUnderTest>): Promise<string[]> {
  const cases: { name: string; run: () => Promise<void> }[] = [];
  const before: (() => Promise<void>)[] = [];
  const after: (() => Promise<void>)[] = [];
  sourceContract('broken', open, {
    describe: (_name, define) => define(),
    it: (name, run) => void cases.push({ name, run }),
    beforeEach: (run) => void before.push(run),
    afterEach: (run) => void after.push(run),
  });
  const failed: string[] = [];
  for (const { name, run } of cases) {
    for (const prepare of before) await prepare();
    await run().catch(() => failed.push(name));
    for (const cleanUp of after) await cleanUp();
  }
  return failed;
}

/** The case that exists for the fault. Others may fail along with it. */
const caught: Readonly<Record<Exclude<Fault, 'none'>, string>> = {
  'issue alters current': 'issue leaves the current credential as it is',
  'issue adds and never replaces': 'a repeated issue for one rotation replaces what that rotation issued',
  'issue keeps replaced sessions': 'a repeated issue ends the sessions of what it replaces and no other',
  'issue guesses what is current':
    'with nothing known and two live credentials, issue is AMBIGUOUS and changes nothing',
  'issue uses one slot only': 'issue for the next rotation uses the other slot',
  'issued values do not work': 'an issued value proves',
  'ref without generation': 'a late revoke of a former credential of the slot does not end the live one',
  'revoke fails on what is gone': 'a repeated revoke succeeds',
  'revoke does nothing': 'a credential that was just issued can be taken back',
  'revoke leaves sessions': 'sessions survive until revoke ends them',
  'prove says yes to everything': 'prove of a dead value is REFUSED',
  'prove takes silence for a refusal': 'prove is not REFUSED when the source does not answer',
  'silence looks empty': 'no answer is never taken for nothing there',
  'usage misses sessions': 'usage counts live sessions and drops to none',
  'usage counts sessions of others': 'usage tells the sessions of two credentials apart',
  'list includes the dead': 'list names exactly what is live',
  'list forgets': 'list names exactly what is live',
  'inspect alters something': 'inspect changes nothing',
  'inspect claims what others issued': 'inspect names what a rotation issued, and nothing else',
  'inspect cries wolf': 'inspect finds nothing that stops a rotation which works',
  'inspect takes silence for health': 'no answer is never taken for nothing there',
  'value in the message': 'no value is in any error',
  'value in the cause': 'no value is in any error',
  'value in a hidden property': 'no value is in any error',
};

describe('the contract', () => {
  test('has no complaint about a source that works', async () => {
    expect(await failingCases(async () => openMemorySource())).toEqual([]);
  });

  for (const [fault, sentence] of Object.entries(caught) as [Fault, string][]) {
    test(`catches a source in which ${fault}`, async () => {
      expect(await failingCases(async () => openMemorySource(fault))).toContain(sentence);
    });
  }

  test('blames a leak on nothing but the case about leaks', async () => {
    for (const fault of [
      'value in the message',
      'value in the cause',
      'value in a hidden property',
    ] as const) {
      expect(await failingCases(async () => openMemorySource(fault))).toEqual(['no value is in any error']);
    }
  });
});
