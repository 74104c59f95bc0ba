import type { Phase, Verdict } from '@keyturn/rotator';
import type { Course } from './course.ts';
import { styled, widthOf, type Line, type Piece } from './styled-line.ts';

const protocol: readonly Phase[] = [
  'preflight',
  'issue',
  'prove',
  'publish',
  'announce',
  'converge',
  'verify',
  'revoke',
  'close',
];
const labelWidth = 10;

/** What's left of an id on a screen: enough to tell two versions apart. */
export function shortVersion(version: string): string {
  return version.slice(0, 6);
}

/** The phases in a row, the current one highlighted: as roomy as the width allows. */
export function phaseRow({ rotation, nowMs }: Course, columns: number): Line {
  const begun = rotation.phases;
  // A rotation that is rolled back leaves the protocol's order: then only what happened is shown.
  const names = begun.some(({ name }) => name === 'roll back') ? begun.map(({ name }) => name) : protocol;
  const current = begun.findLast(({ endMs }) => endMs === undefined);
  const last = current ?? begun.at(-1);
  const at = last === undefined ? -1 : names.lastIndexOf(last.name);
  const finished = current === undefined && last?.name === 'close';
  const doneUntil = current === undefined ? at + 1 : at;
  const elapsed = current === undefined ? '' : ` ${((nowMs - current.startMs) / 1000).toFixed(1)} s`;

  const row = (marks: { done: string; waiting: string; gap: string }): Line =>
    names.flatMap((name, index): Piece[] => {
      const gap = index === 0 ? '' : marks.gap;
      if (index < doneUntil) return [gap, styled(`${marks.done}${name}`, 'green')];
      if (index === at) return [gap, styled(`▸${name}${elapsed}`, 'current')];
      return [gap, styled(`${marks.waiting}${name}`, 'dim')];
    });
  const tight = row({ done: '', waiting: '', gap: ' ' });
  const choices: readonly Line[] = [
    row({ done: '✓ ', waiting: '· ', gap: '   ' }),
    finished ? [...tight, styled(' ✓', 'green')] : tight,
    [
      styled(`✓ ${doneUntil} of ${names.length}`, 'green'),
      ' ',
      styled(current ? `▸${current.name}${elapsed}` : '', 'current'),
      styled(` ${names.slice(at + 1).join(' ')}`, 'dim'),
    ],
  ];
  return choices.find((choice) => widthOf(choice) <= columns) ?? choices.at(-1) ?? [];
}

/** Who has which version, who is still on the old role, and what the checks of convergence say. */
export function standingRows(course: Course, columns: number): readonly Line[] {
  return [...versionRows(course, columns), oldRole(course), ...checks(course)];
}

function versionRows({ contenders, rotation }: Course, columns: number): readonly Line[] {
  const instances = contenders.find(({ name }) => name === 'keyturn')?.instances ?? [];
  const rows: Piece[][] = [[label('versions')]];
  for (const instance of instances) {
    const chip = versionOf(instance, rotation);
    const row = rows.at(-1) ?? [];
    if (row.length === 1 || widthOf(row) + widthOf(chip) <= columns) row.push(...chip);
    else rows.push([''.padEnd(labelWidth), ...chip]);
  }
  return rows;
}

function versionOf(instance: string, { standing, adoptions }: Course['rotation']): Line {
  const reported = standing?.instances.find((one) => one.instance === instance);
  const version = reported?.version ?? adoptions.findLast((one) => one.instance === instance)?.version;
  if (version === undefined) return [styled(`${instance} –  `, 'dim')];
  const held = reported?.held.length ? ` holds ${reported.held.map(shortVersion).join(', ')}` : '';
  const adopted = held === '' && (standing === undefined || version === standing.version);
  return [
    `${instance} `,
    styled(`${shortVersion(version)}${held} ${adopted ? '✓' : '…'}`, adopted ? 'green' : 'yellow'),
    '  ',
  ];
}

function oldRole({ rotation }: Course): Line {
  const { standing, oldCredentialRefused } = rotation;
  if (standing === undefined) return [label('old role'), styled('–', 'dim')];
  const { leaving, oldSessions } = standing;
  if (oldCredentialRefused) return [label('old role'), styled(`✓ ${leaving} is refused`, 'green')];
  if (oldSessions.length === 0) return [label('old role'), styled(`✓ nobody uses ${leaving}`, 'green')];
  const users = [...Map.groupBy(oldSessions, (name) => name)].map(([name, sessions]) =>
    sessions.length === 1 ? name : `${name} ×${sessions.length}`,
  );
  const count = `${oldSessions.length} session${oldSessions.length === 1 ? '' : 's'}`;
  return [label('old role'), styled(`… ${count} on ${leaving}: `, 'yellow'), users.join(', ')];
}

function checks({ rotation }: Course): readonly Line[] {
  const names = ['clock', 'adoption', 'usage'] as const;
  return names.map((name) => {
    const verdict = rotation.standing?.verdicts.find(({ check }) => check === name);
    return [label(name), ...(verdict ? judged(verdict) : [styled('–', 'dim')])];
  });
}

function judged({ check, passed, why, stragglers }: Verdict): Line {
  if (passed === true) return [styled('✓ ', 'green'), styled(why, 'dim')];
  if (passed === 'not checked') return [styled(`not checked: ${why}`, 'dim')];
  // Whose sessions they are stands in the row of the old role already.
  const names = check === 'usage' ? '' : [...new Set(stragglers)].join(', ');
  return [styled(`… ${why}`, 'yellow'), names === '' ? '' : styled(`  (${names})`, 'dim')];
}

function label(text: string): Piece {
  return styled(text.padEnd(labelWidth), 'dim');
}
