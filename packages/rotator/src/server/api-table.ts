import type { z } from 'zod';
import { adoptionReport } from '../fleet/report.ts';
import type { Role } from './api-auth.ts';
import {
  approvalRequest,
  components,
  eventList,
  foreseen,
  liveness,
  orderRequest,
  readiness,
  rotationList,
  rotationName,
  rotationQuery,
  rotationRequest,
  rotationStatus,
  secretList,
  secretName,
  secretStatus,
} from './api-schemas.ts';
import type { ProblemCode } from './problem-codes.ts';

adoptionReport.register(components, { id: 'AdoptionReport' });

/** What one route asks for and answers. */
export interface RouteEntry {
  readonly method: 'get' | 'post';
  /** As OpenAPI writes it: `/v1/secrets/{name}`. */
  readonly path: string;
  /** Whom it is for. */
  readonly role: Role | 'everybody';
  readonly summary: string;
  /** What stands in the path, by name. */
  readonly parameters?: Readonly<Record<string, z.ZodType<string>>>;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly answer: {
    readonly status: 200 | 202 | 204;
    readonly schema?: z.ZodType;
    readonly stream?: string;
  };
  /** What it may be refused with, beside what every route may be. */
  readonly problems?: readonly ProblemCode[];
}

const secret = { name: secretName };
const rotation = { id: rotationName };

/**
 * Every route of the rotator for people and programs: what is served, who may use it and what the OpenAPI document
 * says all come from here. The last two are the instances' own.
 */
export const routeTable = {
  listSecrets: {
    method: 'get',
    path: '/v1/secrets',
    role: 'viewer',
    summary: 'Every configured secret as it stands',
    answer: { status: 200, schema: secretList },
  },
  getSecret: {
    method: 'get',
    path: '/v1/secrets/{name}',
    role: 'viewer',
    summary: 'One secret as it stands',
    parameters: secret,
    answer: { status: 200, schema: secretStatus },
    problems: ['UNKNOWN_SECRET'],
  },
  foresee: {
    method: 'get',
    path: '/v1/secrets/{name}/emergency',
    role: 'operator', // it is their question, and each one asks the vault and the source
    summary: 'What is going to break if its credential is ended at once; nothing is done',
    parameters: secret,
    answer: { status: 200, schema: foreseen },
    problems: ['UNKNOWN_SECRET'],
  },
  listRotations: {
    method: 'get',
    path: '/v1/rotations',
    role: 'viewer',
    summary: 'Rotations, newest first',
    query: rotationQuery,
    answer: { status: 200, schema: rotationList },
    problems: ['UNKNOWN_SECRET'],
  },
  getRotation: {
    method: 'get',
    path: '/v1/rotations/{id}',
    role: 'viewer',
    summary: 'One rotation as it stands, or as it ended',
    parameters: rotation,
    answer: { status: 200, schema: rotationStatus },
    problems: ['UNKNOWN_ROTATION'],
  },
  getStory: {
    method: 'get',
    path: '/v1/rotations/{id}/story',
    role: 'viewer',
    summary: 'Every event of a rotation that was kept, oldest first',
    parameters: rotation,
    answer: { status: 200, schema: eventList },
    problems: ['UNKNOWN_ROTATION'],
  },
  startRotation: {
    method: 'post',
    path: '/v1/rotations',
    role: 'operator',
    summary: 'Start a rotation, or join the one that is open',
    body: rotationRequest,
    answer: { status: 202, schema: rotationStatus },
    problems: ['UNKNOWN_SECRET', 'PREFLIGHT'],
  },
  giveOrder: {
    method: 'post',
    path: '/v1/rotations/{id}/orders',
    role: 'operator',
    summary: 'Tell an open rotation to proceed, to roll back or to abort',
    parameters: rotation,
    body: orderRequest,
    answer: { status: 204 },
    problems: ['UNKNOWN_ROTATION', 'NOT_OPEN'],
  },
  approveRotation: {
    method: 'post',
    path: '/v1/rotations/{id}/approval',
    role: 'approver',
    summary: 'Approve a rotation that somebody else asked for',
    parameters: rotation,
    body: approvalRequest,
    answer: { status: 204 },
    problems: ['UNKNOWN_ROTATION', 'NOT_OPEN', 'NOT_ALLOWED'],
  },
  watchEvents: {
    method: 'get',
    path: '/v1/events',
    role: 'viewer',
    summary: 'Server-sent events of every rotation, from now on',
    answer: { status: 200, stream: 'Events named `rotation`, each with an Event as JSON' },
    problems: ['TOO_MANY_STREAMS'],
  },
  openapi: {
    method: 'get',
    path: '/openapi.json',
    role: 'everybody',
    summary: 'This document',
    answer: { status: 200 },
  },
  alive: {
    method: 'get',
    path: '/healthz',
    role: 'everybody',
    summary: 'The process answers',
    answer: { status: 200, schema: liveness },
  },
  ready: {
    method: 'get',
    path: '/readyz',
    role: 'everybody',
    summary: 'All that it needs is there; 503 with the same shape and the problems if not',
    answer: { status: 200, schema: readiness },
  },
  announcements: {
    method: 'get',
    path: '/v1/announcements',
    role: 'application',
    summary: 'Server-sent events for instances: which version of a secret is the current one',
    answer: { status: 200, stream: 'Events named `announcement`' },
    problems: ['WRONG_CONSUMER'],
  },
  reportAdoption: {
    method: 'post',
    path: '/v1/adoption',
    role: 'application',
    summary: 'An instance reports which version it uses and which older ones it still holds',
    body: adoptionReport,
    answer: { status: 204 },
    problems: ['WRONG_CONSUMER'],
  },
} as const satisfies Record<string, RouteEntry>;

export type RouteName = keyof typeof routeTable;
export const routes: readonly (readonly [RouteName, RouteEntry])[] = Object.entries(
  routeTable,
) as unknown as readonly (readonly [RouteName, RouteEntry])[];

/** Hono's way to write the path. */
export function pattern({ path }: RouteEntry): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}
