import { readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { build } from 'esbuild';
import manifest from './package.json' with { type: 'json' };

// Joins what tsc made to one file an entry, and the parts that entries share: an application that starts opens a
// few files instead of two dozen. See docs/decisions/20261123-client-bundle.md.

const folder = import.meta.dirname;
const outdir = join(folder, 'bundle');
const entryPoints = Object.values(manifest.exports).map(({ default: file }) =>
  join(folder, file.replace('./bundle/', './dist/')),
);
const { metafile } = await build({
  entryPoints,
  outbase: join(folder, 'dist'),
  outdir,
  bundle: true,
  splitting: true,
  chunkNames: 'parts/[hash]',
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node22.12',
  sourcemap: true,
  metafile: true,
  logLevel: 'warning',
});

const made = new Set(
  Object.keys(metafile.outputs).map((file) => relative(outdir, join(process.cwd(), file))),
);
for (const file of await readdir(outdir, { recursive: true, withFileTypes: true })) {
  const path = join(file.parentPath, file.name);
  if (file.isFile() && !made.has(relative(outdir, path))) await rm(path); // of an earlier build
}
