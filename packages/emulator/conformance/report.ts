import type { Result } from './runner.ts';

const marks = { passed: '✓', failed: '✗', skipped: '–' } as const;

/** The lines for one check, under the name of its theme when that is a new one. */
export function linesFor(result: Result, before: Result | undefined): string {
  const lines = result.theme === before?.theme ? [] : ['', result.theme];
  const reason = result.outcome === 'skipped' ? ` (${result.message})` : '';
  lines.push(`  ${marks[result.outcome]} ${result.name}${reason}`);
  if (result.outcome === 'failed')
    lines.push(
      `      from ${result.source}`,
      ...(result.message ?? '').split('\n').map((line) => `      ${line}`),
    );
  return lines.join('\n');
}

export const count = (results: readonly Result[], outcome: Result['outcome']): number =>
  results.filter((result) => result.outcome === outcome).length;

export function summary(subject: string, results: readonly Result[]): string {
  const [passed, failed, skipped] = (['passed', 'failed', 'skipped'] as const).map((outcome) =>
    count(results, outcome),
  );
  return `\n${subject}: ${passed} passed, ${failed} failed, ${skipped} skipped of ${results.length} checks`;
}

export function asJson(subject: string, results: readonly Result[]): string {
  return JSON.stringify({
    subject,
    passed: count(results, 'passed'),
    failed: count(results, 'failed'),
    skipped: count(results, 'skipped'),
    checks: results,
  });
}
