import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
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

export function openAuditTrail(options: {
  readonly folder: string | undefined;
  readonly also: (event: AuditEvent) => void;
}): AuditTrail {
  const file =
    options.folder === undefined ? undefined : openSync(join(options.folder, 'audit.jsonl'), 'a', 0o600);
  // Twice as many are let in before the older half goes, so that adding one costs nothing.
  let latest: AuditEvent[] = [];
  return {
    add(event) {
      if (file !== undefined) writeSync(file, `${JSON.stringify(event)}\n`);
      latest.push(event);
      if (latest.length >= 2 * keep) latest = latest.slice(-keep);
      options.also(event);
    },
    events: () => latest.slice(-keep),
    close() {
      if (file !== undefined) closeSync(file);
    },
  };
}
