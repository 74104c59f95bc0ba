import { cleanDrift, findDrift, type Cleaned, type Drift, type DriftFinding } from '@keyturn/rotator';
import { exitCodeFor, exitCodes } from '../exit-codes.ts';
import { explain, type Output } from '../output.ts';
import { printable } from '../printable.ts';
import { look, type Looking } from './looking.ts';

export interface DriftCommandOptions {
  readonly config: string;
  readonly json: boolean;
  readonly clean: boolean;
}

/** A finding, and with `--clean` what became of it. */
type Found = DriftFinding & { readonly cleaned?: Cleaned };
type Looked = Omit<Drift, 'findings'> & { readonly findings: readonly Found[] };

/**
 * `keyturn drift [SECRET…]`: what is not as the last rotation left it. Exits with 9 if something is left for people
 * to look at. With `--clean` no rotator may be at work on the journal.
 */
export async function driftCommand(
  names: readonly string[],
  options: DriftCommandOptions,
  { out, err }: Output,
): Promise<number> {
  return look(names, options.config, async (looking) => {
    const all: Looked[] = [];
    let failure: number | undefined;
    await alone(looking, options, async () => {
      for (const { policy, source } of looking.secrets) {
        const about = { ...looking, secret: policy.secret, source };
        try {
          const drift = await findDrift(about);
          const findings = options.clean ? await cleanAll(drift, about) : drift.findings;
          all.push({ ...drift, findings });
          if (!options.json) out.write(`${inWords({ ...drift, findings })}\n`);
        } catch (error) {
          // One secret that can't be looked at is no reason to leave out the others.
          err.write(`${policy.secret}: ${explain(error)}\n`);
          failure ??= exitCodeFor(error);
        }
      }
    });
    if (options.json) out.write(`${JSON.stringify(all)}\n`);
    const left = all.some(({ findings }) => findings.some(({ cleaned }) => cleaned?.ended !== true));
    return failure ?? (left ? exitCodes.needsPerson.code : exitCodes.done.code);
  });
}

/** Nothing is ended while a rotator might begin a rotation beside it. */
async function alone(
  { opened }: Looking,
  { clean }: DriftCommandOptions,
  action: () => Promise<void>,
): Promise<void> {
  return clean && opened ? opened.whileNobodyRotates('keyturn', action) : action();
}

async function cleanAll(drift: Drift, about: Parameters<typeof cleanDrift>[1]): Promise<Found[]> {
  const found: Found[] = [];
  for (const finding of drift.findings) found.push({ ...finding, cleaned: await cleanDrift(finding, about) });
  return found;
}

function inWords({ secret, findings, notChecked }: Looked): string {
  const left = findings.filter(({ cleaned }) => cleaned?.ended !== true).length;
  return [
    `${secret}: ${findings.length === 0 ? 'nothing has drifted' : `${findings.length} found, ${left} left`}`,
    ...findings.flatMap(lines),
    ...notChecked.map((what) => `  not checked: ${printable(what)}`),
  ].join('\n');
}

function lines({ check, says, hint, cleaned, endable }: Found): string[] {
  const first = `  ${check}: ${printable(says)}`;
  if (cleaned?.ended) return [first, '    ended'];
  const kept = cleaned && endable !== undefined ? [`    not ended: ${printable(cleaned.why)}`] : [];
  return [first, ...kept, `    hint: ${printable(hint)}`];
}
