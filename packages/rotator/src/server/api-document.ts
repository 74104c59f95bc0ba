import { z } from 'zod';
import { components, problemDetails } from './api-schemas.ts';
import { routes, type RouteEntry } from './api-table.ts';
import { problemMeanings, type ProblemCode } from './problem-codes.ts';

type Schema = Readonly<Record<string, unknown>>;

/** The OpenAPI 3.1 document: its schemas are JSON Schema 2020-12, which zod writes itself. */
export function apiDocument({ signIn }: { readonly signIn: boolean }): Schema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(name, route, signIn) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Keyturn',
      version: '1',
      description: 'Rotations of secrets: what stands, what happened, and what an operator orders.',
    },
    paths,
    components: {
      schemas: namedSchemas(),
      ...(signIn
        ? { securitySchemes: { entra: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } }
        : {}),
    },
  };
}

function operation(name: string, route: RouteEntry, signIn: boolean): Schema {
  const { role, summary, body, answer } = route;
  return {
    operationId: name,
    summary,
    'x-keyturn-role': role,
    ...(signIn ? { security: role === 'everybody' ? [] : [{ entra: [] }] } : {}),
    parameters: [...pathParameters(route), ...queryParameters(route)],
    ...(body ? { requestBody: { required: true, content: { 'application/json': named(body) } } } : {}),
    responses: {
      [answer.status]: { description: answer.stream ?? summary, ...content(answer) },
      ...refusals(route),
    },
  };
}

function content({ schema, stream, status }: RouteEntry['answer']): Schema {
  if (stream !== undefined) return { content: { 'text/event-stream': { schema: { type: 'string' } } } };
  if (status === 204) return {};
  return { content: { 'application/json': schema ? named(schema) : { schema: { type: 'object' } } } };
}

function refusals({ role, body, parameters, query, problems = [] }: RouteEntry): Schema {
  const codes: readonly ProblemCode[] = [
    ...(role === 'everybody'
      ? []
      : (['NOT_SIGNED_IN', 'TOKEN_REFUSED', 'ROLE_MISSING', 'NOT_LOCAL', 'KEYS_UNREACHABLE'] as const)),
    ...(body || parameters || query ? (['INVALID_REQUEST'] as const) : []),
    ...(body ? (['TOO_LARGE', 'NOT_JSON'] as const) : []),
    ...problems,
  ];
  const byStatus = Map.groupBy(codes, (code) => problemMeanings[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, those]) => [
      status,
      {
        description: those.map((code) => `${code}: ${problemMeanings[code].title}`).join('; '),
        content: { 'application/problem+json': named(problemDetails) },
      },
    ]),
  );
}

function pathParameters({ parameters = {} }: RouteEntry): readonly Schema[] {
  return Object.entries(parameters).map(([name, schema]) => ({
    name,
    in: 'path',
    required: true,
    schema: jsonSchema(schema),
  }));
}

function queryParameters({ query }: RouteEntry): readonly Schema[] {
  return Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema: jsonSchema(schema as z.ZodType),
  }));
}

function named(schema: z.ZodType): Schema {
  return { schema: { $ref: reference(components.get(schema)?.id ?? '') } };
}

function reference(id: string): string {
  return `#/components/schemas/${id}`;
}

const options = {
  io: 'input',
  // `format` says it; the pattern beside it is a page long.
  override: ({ jsonSchema: written }: { jsonSchema: { format?: string; pattern?: string } }) => {
    if (written.format === 'date-time') delete written.pattern;
  },
} as const;

function namedSchemas(): Schema {
  const { schemas } = z.toJSONSchema(components, { ...options, uri: reference });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, bare(schema)]));
}

function jsonSchema(schema: z.ZodType): Schema {
  return bare(z.toJSONSchema(schema, options));
}

/** The document says once for all which dialect it is, and where each schema is. */
function bare({ $schema: _dialect, $id: _id, ...schema }: Schema): Schema {
  return schema;
}
