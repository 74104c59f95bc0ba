import { constants, existsSync } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CliError } from '../cli-error.ts';
import type { Course } from '../demo/course.ts';
import { runDemo, type DemoResult } from '../demo/demo.ts';
import type { Stage } from '../demo/stage.ts';
import { renderReport } from '../demo/report.ts';
import { liveScreen, plainLines } from '../demo/screen.ts';
import { resultTable } from '../demo/table.ts';
import { outageMs } from '../demo/timeline.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';

export interface DemoOptions {
  readonly json: boolean;
  readonly report: string;
}

/**
 * `keyturn demo`: exit code 0 only if keyturn had no failed request, the old credential was refused, and the usual
 * ways, which are run for real, really failed.
 */
export async function demoCommand(
  options: DemoOptions,
  { out, err }: Output,
  interrupted: Promise<unknown>,
  inspect?: (stage: Stage) => Promise<void>,
): Promise<number> {
  const report = resolve(options.report);
  await mustBeWritable(report);
  const startedAt = new Date();
  const screen = err.isTTY
    ? liveScreen(err, process.env['NO_COLOR'] === undefined)
    : plainLines((line) => err.write(`${line}\n`));
  const result = await runDemo({ watch: (course) => screen.draw(course), interrupted, inspect }).finally(() =>
    screen.close(),
  );
  if (result === 'interrupted') {
    err.write('The demo was interrupted; everything it had started is gone.\n');
    return exitCodes.interrupted.code;
  }
  const summary = { ...summarise(result.course), report };
  const proof = proofOf(result);
  await writeFile(
    report,
    renderReport(result.course, { title: 'Keyturn: a rotation without an outage', startedAt, proof }),
  );
  if (options.json) {
    out.write(`${JSON.stringify(summary)}\n`);
  } else {
    const colour = out.isTTY && process.env['NO_COLOR'] === undefined;
    out.write(`${resultTable(summary.contenders, colour)}\n\n${proof}\nReport: ${report}\n`);
  }
  const wrong = whatWasNotShown(summary);
  if (wrong.length === 0) return exitCodes.done.code;
  throw new CliError('DEMO', `The demo did not show what it claims: ${wrong.join('; ')}.`, {
    hint: `Look at ${report}.`,
  });
}

/** Half a minute later would be too late to be told. */
async function mustBeWritable(report: string): Promise<void> {
  try {
    await access(dirname(report), constants.W_OK);
    if (existsSync(report)) await access(report, constants.W_OK);
  } catch (cause) {
    throw new CliError('USAGE', `${report} can't be written (${(cause as NodeJS.ErrnoException).code}).`, {
      cause,
      hint: 'Name another file with --report FILE.',
    });
  }
}

interface Summary {
  readonly contenders: readonly {
    readonly name: string;
    readonly instances: number;
    readonly requests: number;
    readonly failed: number;
    readonly outageMs: number;
  }[];
  readonly rotation: {
    readonly id: string;
    readonly phases: readonly { readonly name: string; readonly startMs: number; readonly endMs: number }[];
    readonly overlapMs: number;
    readonly convergedMs: number;
    readonly oldCredentialRefused: boolean;
  };
}

function summarise({ contenders, rotation, nowMs }: Course): Summary {
  const { publishedMs = 0, convergedMs = 0, revokedMs = 0 } = rotation;
  return {
    contenders: contenders.map(({ name, instances, samples }) => ({
      name,
      instances: instances.length,
      requests: samples.length,
      failed: samples.filter(({ ok }) => !ok).length,
      outageMs: outageMs(samples, nowMs),
    })),
    rotation: {
      id: rotation.id ?? '',
      phases: rotation.phases.map(({ name, startMs, endMs = startMs }) => ({ name, startMs, endMs })),
      overlapMs: revokedMs - publishedMs,
      convergedMs: convergedMs - publishedMs,
      oldCredentialRefused: rotation.oldCredentialRefused === true,
    },
  };
}

function proofOf({ oldCredentialAnswer, course }: DemoResult): string {
  const role = course.rotation.standing?.leaving ?? 'the old role';
  return oldCredentialAnswer === undefined
    ? `The old credential (${role}) still logs in.`
    : `The old credential (${role}) is refused by PostgreSQL with SQLSTATE ${oldCredentialAnswer}.`;
}

function whatWasNotShown({ contenders, rotation }: Summary): string[] {
  const wrong = contenders.flatMap(({ name, failed, requests }) => {
    if (requests === 0) return [`${name} served no request`];
    if (name === 'keyturn') return failed > 0 ? [`keyturn had ${failed} failed requests`] : [];
    return failed === 0 ? [`${name} had no failed request`] : [];
  });
  return rotation.oldCredentialRefused ? wrong : [...wrong, 'the old credential was not refused'];
}
