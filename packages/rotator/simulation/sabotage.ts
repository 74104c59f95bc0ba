import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import type { Mutant } from './mutants.ts';

/** From now on this thread loads the mutant's file with its one line changed. Throws if the line isn't there once. */
export function sabotage({ file, replace, by, name }: Mutant): void {
  const url = new URL(`../src/${file}`, import.meta.url);
  registerHooks({
    load(loaded, context, nextLoad) {
      const result = nextLoad(loaded, context);
      if (loaded !== url.href) return result;
      const parts = readFileSync(url, 'utf8').split(replace);
      if (parts.length !== 2)
        throw new Error(`${file} has ${parts.length - 1} of the text that "${name}" replaces, not one.`);
      return { ...result, source: parts.join(by) };
    },
  });
}
