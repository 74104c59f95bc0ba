const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** `6.8 days` */
export function spanInWords(ms: number): string {
  const short = (amount: number, unit: string) => `${Number(amount.toFixed(1))} ${unit}`;
  if (ms < hourMs) return short(ms / 1_000, 's');
  return ms < dayMs ? short(ms / hourMs, 'h') : short(ms / dayMs, 'days');
}

/** `2026-01-10T21:00Z` */
export function momentInWords(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16)}Z`;
}
