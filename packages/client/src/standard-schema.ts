/**
 * The part of https://standardschema.dev that is needed to check a value: zod, valibot, arktype and others have it.
 */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Where something is wrong. What is wrong is left out: many validators quote the value in their messages. */
export function placeOf({ path = [] }: SchemaIssue): string {
  return (
    path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.') || 'the whole value'
  );
}
