import type { Failure, Looked } from '../looked.ts';
import type { Refusal } from './may-start.ts';
import type { Said } from './plan-facts.ts';

export const ok = (says: string): Said => ({ mark: 'ok', says });
export const warn = (says: string, hint: string): Said => ({ mark: 'warn', says, hint });
export const notChecked = (says: string, hint?: string): Said => ({
  mark: 'not checked',
  says,
  ...(hint === undefined ? {} : { hint }),
});

/** What failed here would fail in the rotation as well. */
export const failed = ({ message, hint }: Failure): Said => ({
  mark: 'stop',
  says: message,
  ...(hint === undefined ? {} : { hint }),
});

export const refused = ({ reason, hint }: Refusal): Said => ({ mark: 'stop', says: reason, hint });

/** Says something of what was seen; a look that failed is the finding itself. */
export function ofSeen<T>(looked: Looked<T>, say: (seen: T) => readonly Said[]): readonly Said[] {
  return 'seen' in looked ? say(looked.seen) : [failed(looked.failure)];
}

/** The same where another check has told already why there was nothing to look at. */
export function unlessFailed<T>(looked: Looked<T>, say: (seen: T) => readonly Said[]): readonly Said[] {
  return 'seen' in looked ? say(looked.seen) : [notChecked(`not known: ${looked.failure.message}`)];
}
