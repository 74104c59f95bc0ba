import { z } from 'zod';
import { orders, type Foreseen, type RotationStatus, type SecretStatus } from '../operations.ts';

export type { ProblemCode } from './problem-codes.ts';

// What goes over the wire. Whoever reads an answer meets fields of newer rotators: they are passed on, not refused.
// Whoever asks is taken at their word: an unknown field is a slip (`compromise: true`) and is refused.

/** The schemas that have a name in the OpenAPI document. */
export const components = z.registry<{ readonly id: string }>();

const time = z.iso.datetime();

const by = { who: z.string(), why: z.string(), id: z.string().exactOptional() };

const verdict = z
  .looseObject({
    check: z.enum(['clock', 'adoption', 'usage']),
    passed: z.union([z.boolean(), z.literal('not checked')]),
    why: z.string(),
    stragglers: z.array(z.string()),
  })
  .register(components, { id: 'Verdict' });

const instance = z
  .looseObject({
    consumer: z.string(),
    instance: z.string(),
    version: z.string(),
    held: z.array(z.string()),
    authenticatedAt: time.exactOptional(),
    heldAuthenticatedAt: z.record(z.string(), time).exactOptional(),
    refused: z.record(z.string(), z.int()),
  })
  .register(components, { id: 'Instance' });

const outcome = z
  .looseObject({
    id: z.string(),
    secret: z.string(),
    outcome: z.enum(['closed', 'rolled back']),
    version: z.string(),
    revokedVersion: z.string(),
    oldCredentialRefused: z.literal(true),
    overlapMs: z.number(),
    convergedMs: z.number(),
    notChecked: z.array(z.string()),
  })
  .register(components, { id: 'Outcome' });

const phase = z.enum([
  'preflight',
  'issue',
  'prove',
  'publish',
  'announce',
  'converge',
  'verify',
  'roll back',
  'revoke',
  'close',
]);

export const rotationStatus = z
  .looseObject({
    id: z.string().describe('The secret and the version that it replaces: orders-db@1f3c…'),
    secret: z.string(),
    from: z.string(),
    state: z.enum(['awaiting approval', 'running', 'held', 'closed', 'rolled back', 'aborted', 'failed']),
    phase: phase.exactOptional(),
    version: z.string().exactOptional(),
    requested: z.looseObject({ ...by, at: time, compromised: z.boolean().exactOptional() }),
    orders: z.array(z.looseObject({ ...by, order: z.enum([...orders, 'approve']), at: time })),
    updatedAt: time,
    endedAt: time.exactOptional(),
    verdicts: z.array(verdict).exactOptional(),
    instances: z.array(instance).exactOptional(),
    stragglers: z.array(z.string()),
    outcome: outcome.exactOptional(),
    failure: z
      .looseObject({ code: z.string(), message: z.string(), hint: z.string().exactOptional() })
      .exactOptional(),
  })
  .register(components, { id: 'Rotation' }) satisfies z.ZodType<RotationStatus>;

export const secretStatus = z
  .looseObject({
    secret: z.string(),
    source: z.string(),
    version: z.string().exactOptional(),
    createdAt: time.exactOptional(),
    expiresAt: time.exactOptional(),
    dueAt: time.exactOptional(),
    dueBecause: z.string().exactOptional(),
    open: rotationStatus.exactOptional(),
    last: rotationStatus.exactOptional(),
    failure: z
      .looseObject({
        message: z.string(),
        hint: z.string().exactOptional(),
        nextAttemptAt: time.exactOptional(),
      })
      .exactOptional(),
  })
  .register(components, { id: 'Secret' }) satisfies z.ZodType<SecretStatus>;

export const foreseen = z
  .looseObject({
    secret: z.string(),
    breaks: z.array(z.string()),
    notChecked: z.array(z.string()).describe('What could not be looked at, and why.'),
    joins: z
      .string()
      .exactOptional()
      .describe('The rotation that is open: a request joins it and does not make it an emergency.'),
  })
  .register(components, { id: 'Foreseen' }) satisfies z.ZodType<Foreseen>;

/** An event: what belongs to its kind stands beside these. */
export const rotationRecord = z
  .looseObject({ rotation: z.string(), at: time, kind: z.string() })
  .register(components, { id: 'Event' });

export const secretList = z
  .looseObject({ secrets: z.array(secretStatus) })
  .register(components, { id: 'SecretList' });
export const rotationList = z
  .looseObject({ rotations: z.array(rotationStatus) })
  .register(components, { id: 'RotationList' });
export const eventList = z
  .looseObject({ events: z.array(rotationRecord) })
  .register(components, { id: 'EventList' });
export const readiness = z
  .looseObject({ ready: z.boolean(), problems: z.array(z.string()) })
  .register(components, { id: 'Readiness' });
export const liveness = z.looseObject({ ok: z.literal(true) }).register(components, { id: 'Liveness' });

/** RFC 9457, with a code that programs may rely on and a hint for people. */
export const problemDetails = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().describe('For programs: it stays what it is.'),
    hint: z.string().exactOptional(),
  })
  .register(components, { id: 'Problem' });

export type ProblemDetails = z.infer<typeof problemDetails>;

export const secretName = z
  .string()
  .regex(/^[0-9a-zA-Z-]{1,127}$/, 'must be a Key Vault secret name: letters, digits and dashes');
export const rotationName = z
  .string()
  .regex(/^[0-9a-zA-Z-]{1,127}@[0-9a-zA-Z-]{1,64}$/, 'must be SECRET@VERSION, the version it replaces');

/** It is shown on terminals and kept for auditors. */
const why = z
  .string()
  .trim()
  .min(1, 'must say why')
  .max(500, 'must have at most 500 characters')
  .regex(/^\P{Cc}*$/u, 'must be one line of plain text');

export const rotationRequest = z
  .strictObject({
    secret: secretName,
    why,
    compromised: z
      .boolean()
      .default(false)
      .describe('The credential is in the wrong hands: the overlap is as short as can be.'),
  })
  .register(components, { id: 'RotationRequest' });
export const orderRequest = z
  .strictObject({ order: z.enum(orders), why })
  .register(components, { id: 'OrderRequest' });
export const approvalRequest = z.strictObject({ why }).register(components, { id: 'ApprovalRequest' });

export const rotationQuery = z.strictObject({
  secret: secretName.optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(50),
});
