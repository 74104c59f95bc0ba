const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** A length of time as a person says it: `89d`, `5h`, `12m`, `3s`. */
export function span(ms: number): string {
  const [unit, unitMs] = units.find(([, each]) => ms >= each) ?? (['s', 1_000] as const);
  return `${Math.floor(ms / unitMs)}${unit}`;
}

/** `in 5h`, or `3m ago`. */
export function distance(at: string, nowMs: number): string {
  const ms = Date.parse(at) - nowMs;
  return ms >= 0 ? `in ${span(ms)}` : `${span(-ms)} ago`;
}
