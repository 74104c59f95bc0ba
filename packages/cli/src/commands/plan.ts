import { plan, systemClock, type Plan, type PlanFinding } from '@keyturn/rotator';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { printable } from '../printable.ts';
import { look } from './looking.ts';

export interface PlanCommandOptions {
  readonly config: string;
  readonly json: boolean;
}

/** `keyturn plan [SECRET…]`: what a rotation of each would meet. Exits with 3 if one of them may not start. */
export async function planCommand(
  names: readonly string[],
  options: PlanCommandOptions,
  { out }: Output,
): Promise<number> {
  return look(names, options.config, async ({ secrets, vault, journal }) => {
    const plans: Plan[] = [];
    for (const { policy, source } of secrets) {
      const made = await plan({ policy, source, vault, journal, clock: systemClock });
      plans.push(made);
      if (!options.json) out.write(`${inWords(made)}\n`);
    }
    if (options.json) out.write(`${JSON.stringify(plans)}\n`);
    return (plans.every(({ mayStart }) => mayStart) ? exitCodes.done : exitCodes.notStarted).code;
  });
}

const marks = { ok: '  ok ', warn: 'warn ', stop: 'STOP ', 'not checked': '   ? ' } as const;

function inWords({ secret, mayStart, findings }: Plan): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const questions = findings.filter(({ mark }) => mark === 'not checked').length;
  const verdict = mayStart ? 'a rotation may start' : 'a rotation may not start';
  return [
    `${secret}: ${verdict}${questions > 0 ? ` (${questions} not checked, marked ?)` : ''}`,
    ...findings.flatMap((finding) => lines(finding, width)),
  ].join('\n');
}

function lines({ check, mark, says, hint }: PlanFinding, width: number): string[] {
  const first = `${marks[mark]} ${check.padEnd(width)}  ${printable(says)}`;
  return hint === undefined ? [first] : [first, `${' '.repeat(width + 8)}hint: ${printable(hint)}`];
}
