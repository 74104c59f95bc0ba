import { readFile } from 'node:fs/promises';
import { LineCounter, parseDocument, visit, type Document } from 'yaml';
import type { z } from 'zod';
import { CliError } from '../cli-error.ts';

/** A kind of configuration file: its schema, and where a person finds all its keys. */
export interface FileKind<T> {
  readonly schema: z.ZodType<T>;
  /** A command that prints them. */
  readonly keys: string;
}

/** Reads and checks a configuration file. An error names the file, the line, what is wrong and what to do. */
export async function loadFile<T>(file: string, kind: FileKind<T>): Promise<T> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CliError('CONFIG', `${file}: can't be read (${(cause as NodeJS.ErrnoException).code}).`, {
      hint: 'Name the configuration with --config FILE.',
    });
  });
  return parseFile(text, file, kind);
}

export function parseFile<T>(text: string, file: string, { schema, keys }: FileKind<T>): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const notYaml = (offset: number, what: string, hint = 'Mend that line.') =>
    new CliError('CONFIG', `${file}:${lines.linePos(offset).line}: is not YAML: ${what}.`, { hint });
  const broken = document.errors[0];
  if (broken) throw notYaml(broken.pos[0], broken.message.replace(/ at line \d+, column \d+:[^]*$/, ''));
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) === undefined)
        throw notYaml(
          alias.range?.[0] ?? 0,
          `there is no anchor for *${alias.source}`,
          'Put a text that begins with * between quotation marks.',
        );
    },
  });
  const checked = schema.safeParse(document.toJS() ?? {});
  if (checked.success) return checked.data;
  const problems = checked.error.issues.flatMap((issue) =>
    describe(issue, { document, lines, file, schema }),
  );
  throw new CliError('CONFIG', problems.map(({ message }) => message).join('\n'), {
    hint: problems.find(({ hint }) => hint !== undefined)?.hint ?? `All keys with their meaning: ${keys}.`,
  });
}

interface Problem {
  readonly message: string;
  readonly hint?: string;
}

interface Place {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly file: string;
  readonly schema: unknown;
}

function describe(issue: z.core.$ZodIssue, { document, lines, file, schema }: Place): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const known = knownKeys(schema, issue.path);
      return {
        message: `${file}:${lineOf(path, document, lines)}: ${path.join('.')}: there is no such key.`,
        ...(known.length > 0 ? { hint: `Known here: ${known.join(', ')}.` } : {}),
      };
    });
  }
  const missing = issue.code === 'invalid_type' && document.getIn(issue.path) === undefined;
  const where = `${file}:${lineOf(issue.path, document, lines)}: ${issue.path.join('.') || 'the file'}`;
  return [{ message: missing ? `${where}: is missing.` : `${where}: ${issue.message}.` }];
}

/** The line of a key; where it is absent, of the nearest thing around it. */
function lineOf(path: readonly PropertyKey[], document: Document, lines: LineCounter): number {
  for (let length = path.length; length > 0; length -= 1) {
    const key = path[length - 1];
    const parent: unknown =
      length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const pair = itemsOf(parent).find((item) => item.key?.value === key);
    const offset = pair?.key?.range?.[0];
    if (offset !== undefined) return lines.linePos(offset).line;
  }
  return 1;
}

interface YamlPair {
  readonly key?: { readonly value?: unknown; readonly range?: readonly number[] };
}

function itemsOf(node: unknown): readonly YamlPair[] {
  const { items } = (node ?? {}) as { items?: readonly YamlPair[] };
  return items ?? [];
}

/** The keys that the schema knows at a path; records are passed through. */
function knownKeys(root: unknown, path: readonly PropertyKey[]): string[] {
  let schema = root;
  for (const key of path) schema = child(schema, String(key));
  return Object.keys(shapeOf(schema) ?? {}).filter((key) => !key.startsWith('$'));
}

interface ZodParts {
  readonly shape?: Record<string, unknown>;
  readonly innerType?: unknown;
  readonly valueType?: unknown;
  readonly element?: unknown;
  readonly options?: readonly unknown[];
}

function parts(schema: unknown): ZodParts {
  return (schema as { def?: ZodParts }).def ?? {};
}

function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  const { shape, innerType, options } = parts(schema);
  if (shape) return shape;
  if (innerType !== undefined) return shapeOf(innerType);
  return options
    ?.map(shapeOf)
    .reduce<Record<string, unknown> | undefined>((all, one) => ({ ...all, ...one }), undefined);
}

function child(schema: unknown, key: string): unknown {
  const { innerType, valueType, element } = parts(schema);
  if (innerType !== undefined) return child(innerType, key);
  if (valueType !== undefined) return valueType;
  if (element !== undefined) return element;
  return shapeOf(schema)?.[key] ?? {};
}
