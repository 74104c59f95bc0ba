import type { RotatorErrorCode } from '../rotator-error.ts';

/** What the API itself refuses, before the rotator is asked. */
export const problemCodes = [
  'INVALID_REQUEST',
  'TOO_LARGE',
  'NOT_JSON',
  'UNKNOWN_ROUTE',
  'WRONG_METHOD',
  'NOT_SIGNED_IN',
  'TOKEN_REFUSED',
  'ROLE_MISSING',
  'WRONG_CONSUMER',
  'NOT_LOCAL',
  'KEYS_UNREACHABLE',
  'TOO_MANY_STREAMS',
  'UNEXPECTED',
] as const;
export type ProblemCode = (typeof problemCodes)[number] | RotatorErrorCode;

interface Meaning {
  readonly status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 500 | 502 | 503;
  readonly title: string;
}

/** Every code with its HTTP status. The compiler asks for a line here when the rotator learns a new code. */
export const problemMeanings: Readonly<Record<ProblemCode, Meaning>> = {
  INVALID_REQUEST: { status: 400, title: 'The request is not well formed' },
  TOO_LARGE: { status: 413, title: 'The request is too large' },
  NOT_JSON: { status: 415, title: 'The request has to be JSON' },
  UNKNOWN_ROUTE: { status: 404, title: 'There is no such route' },
  WRONG_METHOD: { status: 405, title: 'The route has no such method' },
  NOT_SIGNED_IN: { status: 401, title: 'A token is needed' },
  TOKEN_REFUSED: { status: 401, title: 'The token is refused' },
  ROLE_MISSING: { status: 403, title: 'The role is missing' },
  WRONG_CONSUMER: { status: 403, title: 'The token speaks for another consumer' },
  NOT_LOCAL: { status: 403, title: 'Only this machine may ask' },
  KEYS_UNREACHABLE: { status: 503, title: 'Tokens cannot be checked' },
  TOO_MANY_STREAMS: { status: 503, title: 'Too many streams are open' },
  UNEXPECTED: { status: 500, title: 'An unexpected error' },
  UNKNOWN_SECRET: { status: 404, title: 'There is no such secret' },
  UNKNOWN_ROTATION: { status: 404, title: 'There is no such rotation' },
  NOT_OPEN: { status: 409, title: 'The rotation is not open for that' },
  NOT_ALLOWED: { status: 403, title: 'Somebody else has to do that' },
  ABORTED: { status: 409, title: 'An operator aborted the rotation' },
  PREFLIGHT: { status: 409, title: 'The rotation may not start' },
  BUSY: { status: 503, title: 'Another rotator is at work' },
  JOURNAL: { status: 503, title: 'The journal is not to be had' },
  LISTEN: { status: 503, title: 'The address is not to be had' },
  SOURCE: { status: 502, title: 'The source answered something else' },
  NOT_REFUSED: { status: 409, title: 'The old credential still logs in' },
  VAULT_CHANGED: { status: 409, title: 'Somebody else changed the secret' },
  VAULT_FORBIDDEN: { status: 502, title: 'The vault refuses a right' },
  VAULT_UNREACHABLE: { status: 503, title: 'The vault is unreachable' },
  VAULT_NO_SECRET: { status: 502, title: 'The vault has no such secret' },
  VAULT_THROTTLED: { status: 503, title: 'The vault throttles' },
  VAULT_DISABLED: { status: 502, title: 'The version is disabled in the vault' },
  VAULT_UNEXPECTED: { status: 502, title: 'The vault answered something else' },
};
