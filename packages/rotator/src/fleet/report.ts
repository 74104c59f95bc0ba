import { z } from 'zod';

/** PostgreSQL takes no NUL in a text, and nobody else a control character. */
const name = z
  .string()
  .min(1)
  .max(200)
  .regex(/^\P{Cc}*$/u, 'has control characters');

/**
 * What an instance sends: which version of each secret it uses, and which older ones it still holds open. Fields
 * that are not known here are left out: a newer client may tell more, and must not be silenced for it.
 */
export const adoptionReport = z.object({
  consumer: name,
  instance: name,
  secrets: z
    .array(
      z.object({
        secret: name,
        version: name,
        held: z.array(name).max(100),
        authenticatedAt: z.iso.datetime().optional(),
        heldAuthenticatedAt: z.record(name, z.iso.datetime()).optional(),
        refused: z.record(name, z.int().min(0)).default({}),
      }),
    )
    .max(1_000),
  /** True in the last report of an instance that ends. */
  leaving: z.boolean().optional(),
});

export type AdoptionReport = z.infer<typeof adoptionReport>;
