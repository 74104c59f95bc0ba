import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startFakeRotator } from './fakes/fake-rotator.ts';

test.each(['workers', 'cluster'])(
  'every thread or process of an application is an instance of its own (%s)',
  async (kind) => {
    const rotator = await startFakeRotator();
    const program = fileURLToPath(new URL('children/two-instances.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [program, kind, rotator.url], {
      timeout: 20_000,
    });
    expect(stdout.trim().split('\n')).toEqual(['v1', 'v1']);
    const said = rotator.reports.filter(({ secrets }) => secrets.length > 0);
    expect(new Set(said.map(({ instance }) => instance)).size).toBe(2);
    // Each said goodbye for itself.
    expect(rotator.reports.filter(({ leaving }) => leaving)).toHaveLength(2);
    await rotator.close();
  },
);
