import { z } from 'zod';

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const pattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** `90s`, `5m`, `24h`, `30d`: read as milliseconds. */
export const duration = z
  .string()
  .regex(pattern, 'must be a number with a unit: 500ms, 90s, 5m, 24h or 30d')
  .transform((text) => {
    const [, amount, unit] = pattern.exec(text) ?? [];
    return Number(amount) * unitMs[unit as keyof typeof unitMs];
  });
