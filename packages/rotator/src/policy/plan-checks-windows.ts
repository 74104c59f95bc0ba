import { momentInWords } from './in-words.ts';
import type { PlanCheck } from './plan-facts.ts';
import { ok, warn } from './said.ts';
import { waitForWindow } from './wait-for-window.ts';
import { nextOpening, type MaintenanceWindow } from './window.ts';
import { windowsTooRare } from './windows-too-rare.ts';

/** When the schedule and events would start a rotation. What an operator asks for now does not wait. */
export const windows: PlanCheck = ({ policy, now, current }) => {
  if (!policy.windows?.length) return [];
  const says = `${policy.windows.map(inWords).join('; ')}: ${standing(policy.windows, now)}`;
  const expiresAt = 'seen' in current ? current.seen.expiresAt : undefined;
  const wait = waitForWindow({ policy, expiresAt, at: now });
  const tooRare = windowsTooRare(policy);
  return [
    wait?.isTooLate
      ? warn(`${says}; what is due starts before: ${wait.because}`, 'Ask for it now, or add a window.')
      : ok(`${says}; ${notForOperators}`),
    ...(tooRare === undefined ? [] : [warn(tooRare, 'Add a window, or have it rotated earlier (`every`).')]),
  ];
};

const notForOperators = 'the schedule and events start it inside only, a request of an operator at any time';

function standing(all: readonly MaintenanceWindow[], now: number): string {
  const { opensAt, closesAt } = nextOpening(all, now);
  if (opensAt > now) return `closed now, opens at ${momentInWords(opensAt)}`;
  return closesAt === Infinity ? 'open at any time' : `open now, until ${momentInWords(closesAt)}`;
}

function inWords({ days, from, to, timeZone }: MaintenanceWindow): string {
  return `${days.length === 7 ? 'every day' : days.join(', ')} ${from}–${to} ${timeZone}`;
}
