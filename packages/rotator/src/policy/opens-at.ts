import { isOpen, nextOpening, type MaintenanceWindow } from './window.ts';

/** Ten thousand secrets may wait at every look: what was found holds until a window opens. */
const closed = new WeakMap<
  readonly MaintenanceWindow[],
  { readonly from: number; readonly opensAt: number }
>();

/** When one of the windows is open next, milliseconds since 1970: `at` itself if one is, or if there is none. */
export function opensAt(windows: readonly MaintenanceWindow[], at: number): number {
  const known = closed.get(windows);
  if (known && known.from <= at && at < known.opensAt) return known.opensAt;
  if (isOpen(windows, at)) return at;
  const opening = nextOpening(windows, at);
  closed.set(windows, { from: at, opensAt: opening.opensAt });
  return opening.opensAt;
}
