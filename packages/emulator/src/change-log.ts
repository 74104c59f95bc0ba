import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { EmulatorError } from './emulator-error.ts';

// How the emulator remembers: every change is a line at the end of one file, written before it is acknowledged.
// What stands in the file is with the operating system, so a killed process loses nothing of it.

/** One part's share of the log. `C` is JSON. */
export interface Changes<C> {
  /** Remembers the change and carries it out. What this returned from survives a crash of the process. */
  append(change: C): void;
}

/** What a part does with its changes. */
export interface Memory<C> {
  /** Carries a change out: when it happens, and again when the emulator starts the next time. */
  readonly apply: (change: C) => void;
  /** The fewest changes that lead from nothing to the present state. */
  readonly snapshot: () => Iterable<C>;
}

export interface ChangeLog {
  /** Applies what a former process remembered under this name, then takes further changes. */
  open<C>(name: string, memory: Memory<C>): Changes<C>;
  /** Writes the file anew without what no longer matters. Call it once everything is open. */
  compact(): void;
  close(): void;
}

/** A log that remembers for as long as the process lives. */
export const inMemory: ChangeLog = {
  open: (_name, { apply }) => ({ append: apply }),
  compact() {},
  close() {},
};

const version = 'keyturn-emulator 1';

/** The log in a folder, made when missing and for its owner only: it holds the values of secrets. One emulator at a time. */
export function openChangeLog(folder: string): ChangeLog {
  const file = join(folder, 'changes.jsonl');
  const release = lock(folder);
  const memories = new Map<string, Memory<unknown>>();
  let former: Map<string, unknown[]>;
  let descriptor: number | undefined;
  try {
    former = read(file);
  } catch (error) {
    release();
    throw error;
  }

  const line = (name: string, change: unknown): string => `${JSON.stringify([name, change])}\n`;

  const writeAnew = (): number => {
    const neighbour = `${file}.new`;
    rmSync(neighbour, { force: true });
    const target = openSync(neighbour, 'ax', 0o600);
    try {
      writeWhole(target, `${JSON.stringify(version)}\n`);
      for (const [name, memory] of memories)
        for (const change of memory.snapshot()) writeWhole(target, line(name, change));
      // What nobody opened this time, a vault that isn't configured for one, waits for the next time.
      for (const [name, changes] of former)
        for (const change of changes) writeWhole(target, line(name, change));
      fsyncSync(target);
      renameSync(neighbour, file);
      return target;
    } catch (error) {
      closeSync(target);
      rmSync(neighbour, { force: true });
      throw error;
    }
  };

  return {
    open<C>(name: string, memory: Memory<C>): Changes<C> {
      memories.set(name, memory as Memory<unknown>);
      for (const change of former.get(name) ?? []) memory.apply(change as C);
      former.delete(name);
      return {
        append(change) {
          if (descriptor !== undefined) appendWhole(descriptor, line(name, change), file);
          memory.apply(change);
        },
      };
    },

    compact() {
      try {
        descriptor = writeAnew();
      } catch (cause) {
        throw unwritable(file, cause);
      }
    },

    close() {
      if (descriptor !== undefined) {
        fsyncSync(descriptor);
        closeSync(descriptor);
      }
      descriptor = undefined;
      release();
    },
  };
}

function read(file: string): Map<string, unknown[]> {
  const changes = new Map<string, unknown[]>();
  const lines = textOf(file).split('\n');
  // Behind the last line break is nothing, or a line that a crash cut off and nobody was told of.
  lines.pop();
  lines.forEach((line, index) => {
    const entry = parse(line);
    if (index === 0 && entry !== version) throw unreadable(file, 1);
    if (index === 0) return;
    if (!Array.isArray(entry) || typeof entry[0] !== 'string') throw unreadable(file, index + 1);
    const [name, change] = entry as [string, unknown];
    const known = changes.get(name);
    if (known === undefined) changes.set(name, [change]);
    else known.push(change);
  });
  return changes;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return '';
    throw new EmulatorError('DATA_FOLDER_UNUSABLE', `${file} can't be read. Name another folder.`, { cause });
  }
}

/** The line's content, or undefined; a parser's message would quote secrets. */
function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const unreadable = (file: string, line: number): EmulatorError =>
  new EmulatorError(
    'DATA_FOLDER_UNUSABLE',
    `${file}, line ${line}, is not a change that this version wrote. Name another folder, or remove that file to start empty.`,
  );

function writeWhole(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
}

/** A line that doesn't fit on the disk must not leave half of itself behind, or the next one would be lost with it. */
export function appendWhole(descriptor: number, text: string, file: string): void {
  const before = fstatSync(descriptor).size;
  try {
    writeWhole(descriptor, text);
  } catch (cause) {
    ftruncateSync(descriptor, before);
    throw unwritable(file, cause);
  }
}

export const unwritable = (file: string, cause: unknown): EmulatorError =>
  new EmulatorError(
    'DATA_FOLDER_UNUSABLE',
    `${file} can't be written to (${(cause as NodeJS.ErrnoException).code}).`,
    { cause },
  );

const held = new Set<string>();

/** Takes the folder for this emulator. A lock whose process is gone counts for nothing. */
function lock(folder: string): () => void {
  try {
    makeFolder(folder);
    // One name for the folder, however it was written.
    const file = join(realpathSync(folder), 'lock');
    while (!createLock(file)) takeAwayStale(folder, file);
    held.add(file);
    return () => {
      held.delete(file);
      rmSync(file, { force: true });
    };
  } catch (cause) {
    if (cause instanceof EmulatorError) throw cause;
    throw new EmulatorError('DATA_FOLDER_UNUSABLE', `${folder} can't be written to. Name another folder.`, {
      cause,
    });
  }
}

function createLock(file: string): boolean {
  try {
    const descriptor = openSync(file, 'wx', 0o600);
    writeWhole(descriptor, String(process.pid));
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** Throws when the lock's process lives. Several may find a stale lock: only who has the turn may take it away. */
function takeAwayStale(folder: string, file: string): void {
  const turn = `${file}.turn`;
  try {
    mkdirSync(turn);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    pause();
    // Whoever had it was killed meanwhile.
    if (ageMs(turn) > 1_000) rmSync(turn, { recursive: true, force: true });
    return;
  }
  try {
    const text = textOf(file);
    // Its process is about to write into it, or was killed before it could.
    if (text === '' && ageMs(file) < 1_000) return pause();
    const holder = Number(text);
    if (holder === process.pid ? held.has(file) : lives(holder))
      throw new EmulatorError(
        'DATA_FOLDER_UNUSABLE',
        `${folder} is in use by process ${holder}. Stop that emulator, or name another folder. ` +
          `If process ${holder} is no emulator, remove ${file}.`,
      );
    rmSync(file, { force: true });
  } finally {
    rmSync(turn, { recursive: true, force: true });
  }
}

const ageMs = (path: string): number =>
  Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());

const pause = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);

/** Node's own way to make the folders above, too, never returns where a folder can't be made (`/proc/x`). */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    if (!hasCode(error, 'ENOENT') || existsSync(dirname(path))) throw error;
    makeFolder(dirname(path));
    makeFolder(path);
  }
}

function lives(processId: number): boolean {
  if (!Number.isInteger(processId) || processId <= 0) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
