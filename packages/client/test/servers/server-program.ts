import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Where a server program is that Debian's packages bring. Undefined if it isn't there: its tests are skipped then,
 * except in CI, which installs all of them (`.ci/servers`).
 */
export function serverProgram(name: string, debianPackage: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const path = folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
  if (path === undefined && process.env['CI'])
    throw new Error(`There is no ${name}. .ci/servers installs it (Debian's package ${debianPackage}).`);
  if (path === undefined) console.warn(`Skipped: needs ${name} (apt-get install ${debianPackage}).`);
  return path;
}
