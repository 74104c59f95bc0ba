import { execFile } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openChangeLog, type ChangeLog } from '../src/change-log.ts';
import { EmulatorError } from '../src/emulator-error.ts';

let folder: string;
const open: ChangeLog[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'change-log-test-'));
});
afterEach(async () => {
  for (const log of open.splice(0)) log.close();
  await rm(folder, { recursive: true });
});

/** A set of words that remembers itself. */
function openWords(name = 'words') {
  const log = openChangeLog(folder);
  open.push(log);
  const words = new Set<string>();
  const changes = log.open<{ readonly add?: string; readonly remove?: string }>(name, {
    apply({ add, remove }) {
      if (add !== undefined) words.add(add);
      if (remove !== undefined) words.delete(remove);
    },
    *snapshot() {
      for (const add of words) yield { add };
    },
  });
  log.compact();
  return { log, words, changes };
}

const close = (log: ChangeLog): void => {
  log.close();
  open.splice(open.indexOf(log), 1);
};

const file = (): string => join(folder, 'changes.jsonl');

describe('the change log', () => {
  test('what was appended is there after a restart', () => {
    const before = openWords();
    before.changes.append({ add: 'one' });
    before.changes.append({ add: 'two' });
    before.changes.append({ remove: 'one' });
    close(before.log);
    expect([...openWords().words]).toEqual(['two']);
  });

  test('it is there as soon as append returns, without a close', async () => {
    const { changes } = openWords();
    changes.append({ add: 'one' });
    expect(await readFile(file(), 'utf8')).toContain('"one"');
  });

  test('a line that a crash cut off is forgotten, and the next one is not glued to it', async () => {
    const before = openWords();
    before.changes.append({ add: 'one' });
    close(before.log);
    await appendFile(file(), '["words",{"add":"tw');
    const after = openWords();
    after.changes.append({ add: 'three' });
    close(after.log);
    expect([...openWords().words]).toEqual(['one', 'three']);
  });

  test('a restart leaves out what no longer matters', async () => {
    const before = openWords();
    before.changes.append({ add: 'gone' });
    before.changes.append({ remove: 'gone' });
    close(before.log);
    openWords();
    expect(await readFile(file(), 'utf8')).not.toContain('gone');
  });

  test('what nobody opened this time is kept for the next time', () => {
    const before = openWords();
    before.changes.append({ add: 'one' });
    close(before.log);
    close(openWords('others').log);
    expect([...openWords().words]).toEqual(['one']);
  });

  test('the file is for its owner only', async () => {
    openWords();
    expect((await stat(file())).mode & 0o777).toBe(0o600);
  });

  test('a second emulator is told who uses the folder', () => {
    openWords();
    expect(() => openChangeLog(folder)).toThrow(`in use by process ${process.pid}`);
  });

  test('the lock of a process that is gone counts for nothing', async () => {
    // The number of a process that can't exist, and that of this one before it was restarted under its old number.
    for (const holder of [2 ** 22 + 1, process.pid, 'nonsense']) {
      await writeFile(join(folder, 'lock'), String(holder));
      close(openWords().log);
    }
    await expect(stat(join(folder, 'lock'))).rejects.toThrow('ENOENT');
  });

  test('a folder in use is refused under its other names, too', async () => {
    openWords();
    await symlink(folder, `${folder}-link`);
    for (const name of [`${folder}-link`, relative(process.cwd(), folder)])
      expect(() => openChangeLog(name)).toThrow('in use by process');
    await rm(`${folder}-link`);
  });

  test('of several that start at the same moment one gets the folder, with a stale lock or without', async () => {
    const source = new URL('../src/change-log.ts', import.meta.url).href;
    const script = `
      const { openChangeLog } = await import(${JSON.stringify(source)});
      while (Date.now() < Number(process.argv[2]));
      try {
        openChangeLog(process.argv[1]);
        console.log('in');
      } catch (error) {
        console.log(error.code);
      }
      setTimeout(() => {}, 500); // or its lock would be that of a process that is gone
    `;
    for (const stale of [true, false]) {
      const place = join(folder, String(stale));
      await mkdir(place);
      if (stale) await writeFile(join(place, 'lock'), String(2 ** 22 + 1));
      const start = String(Date.now() + 700);
      const runs = Array.from({ length: 4 }, () =>
        promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, place, start]),
      );
      const outcomes = (await Promise.all(runs)).map(({ stdout }) => stdout.trim());
      expect(outcomes.toSorted()).toEqual([...Array<string>(3).fill('DATA_FOLDER_UNUSABLE'), 'in']);
    }
  });

  test('a folder that can’t be made is refused, and one below others that are missing is made', () => {
    for (const path of ['/proc/keyturn', '/proc/keyturn/data'])
      expect(() => openChangeLog(path)).toThrow(expect.objectContaining({ code: 'DATA_FOLDER_UNUSABLE' }));
    const log = openChangeLog(join(folder, 'a', 'b'));
    log.close();
  });

  test('a file of another kind is refused and kept, with the line and without its content', async () => {
    await writeFile(file(), 'hunter2\n');
    const error = await Promise.resolve()
      .then(() => openChangeLog(folder))
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EmulatorError);
    expect(error).toMatchObject({ code: 'DATA_FOLDER_UNUSABLE' });
    expect(String(error)).toContain('line 1');
    expect(String(error)).not.toContain('hunter2');
    expect(await readFile(file(), 'utf8')).toBe('hunter2\n');
    await writeFile(file(), '"keyturn-emulator 1"\n["words",{"add":"hunter2"}]\n["words",{"add":"hun\n');
    expect(() => openChangeLog(folder)).toThrow('line 3');
  });
});
