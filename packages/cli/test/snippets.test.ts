import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const run = promisify(execFile);

/** The TypeScript that readers copy: every block in the README files, but for those marked `ts part`. */
async function snippets(): Promise<{ name: string; code: string }[]> {
  const packages = await readdir(join(root, 'packages'));
  const files = ['README.md', ...packages.map((name) => join('packages', name, 'README.md'))];
  const texts = await Promise.all(
    files.map(async (file) => ({ file, text: await readFile(join(root, file), 'utf8').catch(() => '') })),
  );
  return texts.flatMap(({ file, text }) =>
    [...text.matchAll(/^```ts\n(?<code>[^]*?)^```$/gm)].map(({ groups }, index) => ({
      name: `${file.replaceAll(/[/.]/g, '-')}-${index + 1}`,
      code: groups?.['code'] ?? '',
    })),
  );
}

it('the snippets of the README files compile against what is published', async () => {
  const found = await snippets();
  expect(found.length).toBeGreaterThanOrEqual(3);
  const cache = join(root, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'snippets-'));
  try {
    for (const { name, code } of found) await writeFile(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
    const config = {
      extends: join(root, 'tsconfig.base.json'),
      compilerOptions: {
        noEmit: true,
        composite: false,
        declaration: false,
        declarationMap: false,
        sourceMap: false,
      },
      include: ['*.ts'],
    };
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const { stdout } = await run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', folder]).catch(
      (error: unknown) => error as { stdout: string },
    );
    expect(stdout).toBe('');
  } finally {
    await rm(folder, { recursive: true });
  }
});
