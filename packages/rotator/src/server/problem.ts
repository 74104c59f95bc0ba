import { JournalError } from '../journal/journal-error.ts';
import { RotatorError } from '../rotator-error.ts';
import type { ProblemDetails } from './api-schemas.ts';
import { problemMeanings, type ProblemCode } from './problem-codes.ts';

/** Why a request is refused: `detail` says what happened, `hint` what to do. */
export interface Refusal {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly hint?: string | undefined;
  /** More headers of the answer: `WWW-Authenticate`, `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The answer to a request that is refused: problem details as in RFC 9457. */
export function problem({ code, detail, hint, headers = {} }: Refusal): Response {
  const { status, title } = problemMeanings[code];
  const type = `urn:keyturn:problem:${code.toLowerCase().replaceAll('_', '-')}`;
  const body: ProblemDetails = { type, title, status, detail, code, ...(hint === undefined ? {} : { hint }) };
  return Response.json(body, {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
  });
}

/** What an error may tell. The text of one that is not ours might hold a value, and a stack helps nobody outside. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof RotatorError) return { code: error.code, detail: error.message, hint: error.hint };
  if (error instanceof JournalError && Object.hasOwn(problemMeanings, error.code)) {
    return { code: error.code as ProblemCode, detail: error.message, hint: error.hint };
  }
  return {
    code: 'UNEXPECTED',
    detail: 'The rotator met an unexpected error; its text is withheld because it might hold a value.',
    hint: 'Ask again; if it stays, look into the log of the rotator and report it.',
  };
}
