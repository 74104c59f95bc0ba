// npm run conformance [-- --json]: all checks against the emulator, or against the vault that VAULT_URL names.
// Exit codes: 0 all passed, 1 some failed, 2 the run could not start or clean up.
import { parseArgs } from 'node:util';
import { emulatedSubjects } from './emulated.ts';
import { realVault } from './real-vault.ts';
import { asJson, count, linesFor, summary } from './report.ts';
import { runChecks, type Result } from './runner.ts';
import type { Subjects } from './subjects.ts';
import { themes } from './themes.ts';

async function main(): Promise<void> {
  const { json } = parseArgs({ options: { json: { type: 'boolean', default: false } } }).values;
  const vaultUrl = process.env['VAULT_URL'];
  const subjects = vaultUrl === undefined || vaultUrl === '' ? emulatedSubjects() : realVault(vaultUrl);
  const results = await run(subjects, { lines: !json });
  process.stdout.write(`${json ? asJson(subjects.name, results) : summary(subjects.name, results)}\n`);
  if (count(results, 'failed') > 0) process.exitCode = 1;
}

async function run(subjects: Subjects, show: { readonly lines: boolean }): Promise<Result[]> {
  const results: Result[] = [];
  try {
    for await (const result of runChecks(themes, subjects)) {
      if (show.lines) process.stdout.write(`${linesFor(result, results.at(-1))}\n`);
      results.push(result);
    }
  } finally {
    const { left } = await subjects.close();
    if (left > 0)
      process.stderr.write(`${left} secrets of this run stay deleted: they could not be purged.\n`);
  }
  return results;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
