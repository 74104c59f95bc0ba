import { stripVTControlCharacters } from 'node:util';
import { withoutIt, type Check, type Theme } from './check.ts';
import type { Subjects } from './subjects.ts';

export interface Result {
  readonly theme: string;
  readonly name: string;
  readonly source: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** What was expected and what came, or why the check was skipped. */
  readonly message?: string;
}

/** Runs the checks one after the other, and goes on after a failure. */
export async function* runChecks(themes: readonly Theme[], subjects: Subjects): AsyncGenerator<Result> {
  for (const theme of themes)
    for (const check of theme.checks) {
      const { name, source } = check;
      yield { theme: theme.name, name, source, ...(await outcomeOf(check, subjects)) };
    }
}

async function outcomeOf(check: Check, subjects: Subjects): Promise<Pick<Result, 'outcome' | 'message'>> {
  try {
    const subject = await subjects.find(check.needs);
    if (subject === undefined)
      return { outcome: 'skipped', message: check.needs === undefined ? '' : withoutIt[check.needs] };
    await check.run(subject);
    return { outcome: 'passed' };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { outcome: 'failed', message: stripVTControlCharacters(message) };
  }
}
