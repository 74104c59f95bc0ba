import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseFile } from '../src/config/load.ts';
import { configurationFile } from '../src/config/schema.ts';
import { exitCodes } from '../src/exit-codes.ts';

const readme = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');

describe('the README', () => {
  it('lists every exit code with its meaning, and no other', () => {
    const rows = [...readme.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(([, code, meaning]) => [
      Number(code),
      meaning,
    ]);
    expect(rows).toEqual(Object.values(exitCodes).map(({ code, meaning }) => [code, meaning]));
  });

  it('shows a configuration that is accepted', () => {
    const [, yaml = ''] = /```yaml\n([^]*?)```/.exec(readme) ?? [];
    expect(Object.keys(parseFile(yaml, 'README.md', configurationFile).secrets)).toEqual(['orders-db']);
  });
});
