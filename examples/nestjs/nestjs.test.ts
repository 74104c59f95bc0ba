import { execFile } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe } from 'vitest';
import { everyExample } from '../every-example.ts';

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const compiled = pathToFileURL(fromRoot('node_modules/.cache/examples/nestjs/server.js'));

describe('as Node runs it, decorators applied as functions', () => {
  everyExample({ program: [new URL('server.ts', import.meta.url)] });
});

describe('as the compiler writes it, with decorators', () => {
  beforeAll(async () => {
    const project = fileURLToPath(new URL('with-decorators', import.meta.url));
    await promisify(execFile)(fromRoot('node_modules/.bin/tsc'), ['-p', project]);
  });
  everyExample({ program: [compiled] });
});
