import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { appendWhole, unwritable } from '../change-log.ts';
import { EmulatorError } from '../emulator-error.ts';
import type { AuditEvent } from './audit.ts';

/** The calls of all vaults, oldest first. */
export interface Audit {
  /** The latest 10,000. With a data folder all of them are in its `audit.jsonl`, a line each. */
  events(): readonly AuditEvent[];
}

export interface AuditTrail extends Audit {
  readonly add: (event: AuditEvent) => void;
  close(): void;
}

const keep = 10_000;

/** A call that can't be written down is missing in the file: it was already answered. */
export function openAuditTrail(options: {
  readonly folder: string | undefined;
  readonly also: (event: AuditEvent) => void;
  readonly onHint: (line: string) => void;
}): AuditTrail {
  const file = options.folder === undefined ? undefined : openLines(join(options.folder, 'audit.jsonl'));
  // Twice as many are let in before the older half goes, so that adding one costs nothing.
  let latest: AuditEvent[] = [];
  let complained = false;
  const write = (event: AuditEvent): void => {
    try {
      file?.append(`${JSON.stringify(event)}\n`);
      complained = false;
    } catch (error) {
      if (!complained) options.onHint(`Calls are missing in the audit log: ${(error as Error).message}`);
      complained = true;
    }
  };
  return {
    add(event) {
      write(event);
      latest.push(event);
      if (latest.length >= 2 * keep) latest = latest.slice(-keep);
      options.also(event);
    },
    events: () => latest.slice(-keep),
    close: () => file?.close(),
  };
}

function openLines(path: string) {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'a+', 0o600);
    // A line that a crash cut off stays by itself.
    const { size } = fstatSync(descriptor);
    const last = Buffer.alloc(1);
    if (size > 0) readSync(descriptor, last, 0, 1, size - 1);
    if (size > 0 && last.toString() !== '\n') appendWhole(descriptor, '\n', path);
  } catch (cause) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw cause instanceof EmulatorError ? cause : unwritable(path, cause);
  }
  return {
    append(line: string): void {
      // A call that was under way at the close has no answer either.
      if (descriptor !== undefined) appendWhole(descriptor, line, path);
    },
    close(): void {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}
