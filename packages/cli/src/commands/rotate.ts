import { openRotator, type RotationRecord } from '@keyturn/rotator';
import { fleetAddress, openJournalDatabase, openVault } from '../config/connections.ts';
import { loadFile } from '../config/load.ts';
import { configurationFile } from '../config/schema.ts';
import { configuredSecrets } from '../config/secrets.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { openProgress, type ProgressKind } from '../progress.ts';

export interface RotateOptions {
  readonly config: string;
  readonly json: boolean;
  readonly progress: ProgressKind;
}

/**
 * `keyturn rotate SECRET`: runs one rotation, or resumes the one that is open. Ends when it has closed, when it is
 * held at its deadline, or when it is interrupted; in the latter two the rotation stays open and both credentials
 * work.
 */
export async function rotateCommand(
  secret: string,
  options: RotateOptions,
  { out, err }: Output,
  interrupted: Promise<unknown>,
): Promise<number> {
  const config = await loadFile(options.config, configurationFile);
  const progress = openProgress(options.progress, err);
  const held = Promise.withResolvers<void>();
  const report = (record: RotationRecord): void => {
    // The engine resumes every rotation that is open in this journal; this command is about one of them.
    if (!record.rotation.startsWith(`${secret}@`)) return;
    progress.show(record);
    if (record.kind === 'held') held.resolve();
  };
  const vault = openVault(config);
  const journal = await openJournalDatabase(config, vault);
  try {
    const rotator = await openRotator({
      journalUrl: journal.url,
      vault,
      secrets: configuredSecrets(config, vault),
      fleet: fleetAddress(config),
      report,
    });
    try {
      const ended = await Promise.race([
        rotator.operator.rotate({ secret }),
        held.promise.then(() => 'held' as const),
        interrupted.then(() => 'interrupted' as const),
      ]);
      progress.close();
      if (typeof ended === 'string') {
        err.write(`${secret}: ${exitCodes[ended].meaning}\n`);
        return exitCodes[ended].code;
      }
      out.write(options.json ? `${JSON.stringify(ended)}\n` : `${summary(ended)}\n`);
      return ended.outcome === 'closed' ? exitCodes.done.code : exitCodes.rolledBack.code;
    } finally {
      progress.close();
      await rotator.close();
    }
  } finally {
    await journal.close();
  }
}

function summary(ended: {
  readonly secret: string;
  readonly outcome: string;
  readonly version: string;
  readonly revokedVersion: string;
  readonly overlapMs: number;
  readonly notChecked: readonly string[];
}): string {
  const { secret, outcome, version, revokedVersion, overlapMs, notChecked } = ended;
  return [
    `${secret}: ${outcome}`,
    `  current version  ${version}`,
    `  revoked version  ${revokedVersion} (refused by the source)`,
    `  overlap window   ${(overlapMs / 1_000).toFixed(1)} s`,
    ...notChecked.map((what) => `  not checked      ${what}`),
  ].join('\n');
}
