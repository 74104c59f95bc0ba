import { access, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), 'utf8');
const readme = await read('README.md');

/** Blocks that begin with ```LANGUAGE PATH. */
function blocks(language: string): [path: string, text: string][] {
  const found = readme.matchAll(new RegExp(`^\`\`\`${language} (.+)\\n([^]*?)^\`\`\`$`, 'gm'));
  return [...found].map(([, path = '', text = '']) => [path, text]);
}

test('every block of code is one of the files, or a part of it', async () => {
  expect(blocks('ts').map(([path]) => path)).toEqual([
    'express/server.ts',
    'fastify/server.ts',
    'nestjs/server.ts',
    'nestjs/with-decorators/server.ts',
    'azure-functions/orders.ts',
  ]);
  for (const [path, text] of blocks('ts')) expect(await read(path), path).toContain(text);
  expect(readme.match(/^```\w+$/gm)).toBeNull();
});

test.each(blocks('diff'))('the diff of %s turns before.ts into after.ts', async (path, text) => {
  const hunks = text.split(/^@@\n/m).filter(Boolean);
  const side = (hunk: string, mark: '+' | '-'): string =>
    hunk.replaceAll(/^([ +-])(.*\n)/gm, (_line, kind, rest) => (kind === ' ' || kind === mark ? rest : ''));
  let code = await read(`${path}/before.ts`);
  for (const hunk of hunks) {
    expect(code.split(side(hunk, '-'))).toHaveLength(2);
    code = code.split(side(hunk, '-')).join(side(hunk, '+'));
  }
  expect(code).toBe(await read(`${path}/after.ts`));
});

test('every link leads to a file', async () => {
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, path = '']) => path);
  expect(links.length).toBeGreaterThan(7);
  for (const link of links) await access(new URL(link, import.meta.url));
});
