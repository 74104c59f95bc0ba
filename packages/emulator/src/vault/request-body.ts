import { z } from 'zod';
import { badParameter, secretTooLarge } from './refusals.ts';
import type { SecretChanges } from './secret.ts';

// What clients may send. Messages name the field and the limit, never what was in it: a body that is refused
// usually still contains a secret.

const valueLimit = 25_600;

const tags = z
  .record(
    z.string().max(512, 'A tag name is at most 512 characters long.'),
    z.string('A tag value is a string.').max(512, 'A tag value is at most 512 characters long.'),
  )
  .refine((all) => Object.keys(all).length <= 15, 'A secret has at most 15 tags.');

const epochSeconds = z
  .int('A time is a whole number of seconds since 1970.')
  .nonnegative('A time is not before 1970.');

const properties = z.object({
  contentType: z.string().max(255, 'A content type is at most 255 characters long.').nullish(),
  tags: tags.nullish(),
  attributes: z
    .object({ enabled: z.boolean().nullish(), nbf: epochSeconds.nullish(), exp: epochSeconds.nullish() })
    .nullish(),
});

const setSchema = properties.extend({ value: z.string("The parameter 'value' is required.") });

const restoreSchema = z.object({ value: z.string("The parameter 'value' is required.") });

export function readSetBody(text: string): { readonly value: string; readonly properties: SecretChanges } {
  const body = read(setSchema, text);
  if (body.value.length > valueLimit) throw secretTooLarge();
  return { value: body.value, properties: changesIn(body) };
}

/** The blob of a restore request. */
export const readRestoreBody = (text: string): string => read(restoreSchema, text).value;

export function readUpdateBody(text: string): SecretChanges {
  return changesIn(read(properties, text));
}

function read<T>(schema: z.ZodType<T>, text: string): T {
  const checked = schema.safeParse(parseJson(text));
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  // A tag's own name stays out of the message as well: people put odd things there.
  throw badParameter(
    `The parameter '${String(issue?.path[0] ?? 'body')}' is invalid. ${issue?.message ?? ''}`.trim(),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the body, so it goes nowhere.
    throw badParameter('The request body is not valid JSON.');
  }
}

function changesIn(body: z.output<typeof properties>): SecretChanges {
  const { enabled, nbf, exp } = body.attributes ?? {};
  return {
    ...(body.contentType == null ? {} : { contentType: body.contentType }),
    ...(body.tags == null ? {} : { tags: body.tags }),
    ...(enabled == null ? {} : { enabled }),
    ...(nbf == null ? {} : { notBefore: nbf }),
    ...(exp == null ? {} : { expires: exp }),
  };
}
